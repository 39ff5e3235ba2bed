import { relaySettings } from '../config/relay-config.ts'
import { defaultHstsSeconds, type RelaySettings } from '../config/relay-settings.ts'
import type { ControlRequest } from '../control/exchange.ts'
import { ControlServer } from '../control/server.ts'
import { activatedSockets } from '../dataplane/activation.ts'
import { createDataPlane } from '../dataplane/create.ts'
import { peerUser } from '../dataplane/peer-user.ts'
import { createLogger, type Logger } from '../observe/log.ts'
import { activation } from '../relay/inheritance.ts'
import { Relay } from '../relay/relay.ts'
import { checkDescriptors } from './descriptors.ts'
import { exitCodes } from './exit.ts'
import type { RelayCommandFlags } from './relay.ts'
import { checkRelayFiles } from './relay-check.ts'
import { RelayFollower } from './relay-follow.ts'
import { ServiceManager } from './service-manager.ts'
import { followerStopSignals, onStopSignals } from './signals.ts'
import { Succession, startSuccessor, takeOver } from './takeover.ts'

/** The sockets that a service manager may open. */
const roles = ['tunnel', 'http', 'https'] as const

/**
 * Runs a relay until it is asked to stop. Resolves with the exit code; rejects with what an operator must know
 * (ERR_CONFIG, ERR_TOKENS_MISSING, ERR_CERTIFICATE, ERR_LISTEN).
 */
export async function runRelay(flags: RelayCommandFlags): Promise<number> {
  const settings = await settingsOf(flags)
  if (flags.check === true) {
    await checkRelayFiles(settings)
    process.stdout.write(`${flags.config ?? 'the settings'}: right\n`)
    return exitCodes.ok
  }
  const log = createLogger({ format: settings.logFormat, level: flags.logLevel })
  const manager = new ServiceManager(log)
  let relay: Relay | undefined
  let stop: () => void = () => undefined
  const asked = new Promise<void>((resolve) => {
    stop = resolve
  })
  // Heard from the start on: who stops a relay that is still starting wants it to stop, too.
  const signals = onStopSignals({
    stop: (signal) => {
      log.info('relay.stopping', { signal })
      stop()
    },
    cut: () => (relay === undefined ? process.exit(exitCodes.ok) : void relay.stop(0)),
    signals: followerStopSignals,
  })
  // Until there is something to reload: it must not end a relay that is still starting.
  const ignore = (): void => undefined
  process.on('SIGHUP', ignore)
  let succession: Succession | undefined
  const replace = (): void => {
    const current = succession
    if (current !== undefined && !current.begun) startSuccessor(() => current.begun, log)
  }
  process.on('SIGUSR2', replace)
  let follower: RelayFollower | undefined
  let control: ControlServer | undefined
  // Sockets of the native data plane do not hold the event loop.
  const alive = setInterval(() => undefined, 2 ** 30)
  try {
    const dataPlane = createDataPlane()
    checkDescriptors(settings.limits, log)
    const inheritance = flags.takeover === true ? await takeOver(settings, log) : activation(activatedSockets(roles))
    relay = await Relay.start({ settings, dataPlane, log, ...(inheritance === undefined ? {} : { inheritance }) })
    const running = relay
    const read = async (): Promise<RelaySettings> => {
      manager.reloading()
      return await settingsOf(flags).finally(() => manager.reloaded('the settings have been read again'))
    }
    follower = new RelayFollower(flags.config, read, running, log)
    const parting = new Succession(running, manager, log)
    succession = parting
    const parts = { settings, relay: running, follower, succession: parting, log }
    control = await openControl({ ...parts, replace: flags.takeover === true })
    log.info('relay.started', { dataPlane: dataPlane.kind, mode: dataPlane.mode, domain: settings.domain })
    manager.ready(dataPlane, `serving ${settings.domain}`)
    if (settings.open) log.warn('relay.open', {}, 'anybody may open tunnels here')
    await Promise.race([asked, parting.left])
    follower.close()
    await control?.close()
    if (parting.begun) await Promise.race([asked, relay.emptied()])
    manager.stopping('letting visitors finish')
    await relay.stop()
    return exitCodes.ok
  } finally {
    signals.dispose()
    process.off('SIGUSR2', replace)
    process.off('SIGHUP', ignore)
    follower?.close()
    manager.close()
    clearInterval(alive)
  }
}

interface ControlParts {
  readonly settings: RelaySettings
  readonly relay: Relay
  readonly follower: RelayFollower
  readonly succession: Succession
  /** A relay that has left has the socket. */
  readonly replace: boolean
  readonly log: Logger
}

/** Without it the relay runs as well. */
async function openControl({
  settings: { controlSocket },
  relay,
  follower,
  succession,
  replace,
  log,
}: ControlParts): Promise<ControlServer | undefined> {
  const startedAt = Date.now()
  const up = (): number => Math.round((Date.now() - startedAt) / 1000)
  const handlers = {
    reload: async () => ({ ok: true, ...(await follower.reload()) }),
    takeover: (request: ControlRequest) => succession.bequeath(request),
    leave: (request: ControlRequest) => succession.leave(request),
    status: () => ({
      ok: true,
      pid: process.pid,
      up_s: up(),
      ...relay.counts,
      ...relay.proxies,
      ...relay.refusals.metrics,
    }),
  }
  try {
    return await ControlServer.open({ path: controlSocket, handlers, replace, userOf: peerUser, log })
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error)
    log.warn('control.unavailable', { error: text }, 'millrace reload will not reach this relay')
    return undefined
  }
}

async function settingsOf(flags: RelayCommandFlags): Promise<RelaySettings> {
  return await relaySettings(
    {
      tunnel_addr: flags.tunnelAddr,
      http_addr: flags.httpAddr,
      https_addr: flags.httpsAddr,
      tcp_ports: flags.tcpPorts,
      domain: flags.domain,
      tls_cert: flags.tlsCert,
      tls_key: flags.tlsKey,
      tls_min_version: flags.tlsMinVersion,
      https_certs: flags.httpsCerts,
      https_redirect: flags.httpsRedirect,
      hsts: flags.hsts === true ? defaultHstsSeconds : flags.hsts,
      token_sha256: flags.tokenSha256,
      open: flags.open,
      allow_plain: flags.allowPlain,
      lanes: flags.lanes ? undefined : false,
      state_dir: flags.stateDir,
      log_format: flags.logFormat,
      drain_timeout: flags.drainTimeout,
    },
    flags.config,
  )
}

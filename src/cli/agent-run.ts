import { Agent } from '../agent/agent.ts'
import type { TunnelSpec } from '../agent/options.ts'
import { StateFile } from '../agent/state-file.ts'
import { targetName } from '../agent/tunnel-book.ts'
import { defaultStateDir } from '../config/relay-settings.ts'
import { createDataPlane } from '../dataplane/create.ts'
import { agentLimits } from '../limits/agent.ts'
import { limitsFrom } from '../limits/limit.ts'
import { formatHostPort } from '../net/address.ts'
import { createLogger, type Logger } from '../observe/log.ts'
import { outboundProxy } from './agent-proxy.ts'
import { readToken, relayTrust } from './agent-secrets.ts'
import { exitCodes, fail } from './exit.ts'
import { Screen } from './screen.ts'
import type { SessionFlags } from './session-flags.ts'
import { followerStopSignals, onStopSignals } from './signals.ts'

/** How long joins may go on after the first signal, ms: an answer under way gets through, Ctrl-C still feels prompt. */
const graceMs = 2_000

/** Begins something beside a running agent; what it returns ends that. */
export type Companion = (agent: Agent, log: Logger) => () => void

/** Runs an agent with these tunnels until it is stopped or refused. Resolves with the exit code. */
export async function runAgent(
  flags: SessionFlags,
  tunnels: readonly TunnelSpec[],
  companion?: Companion,
): Promise<number> {
  const token = readToken(flags)
  const trust = relayTrust(flags)
  const proxy = outboundProxy(flags)
  const [relay, ...otherRelays] = flags.relay
  const dataPlane = createDataPlane()
  const screen =
    flags.logFormat === 'pretty' && process.stdout.isTTY
      ? new Screen(process.stdout, formatHostPort(relay.host, relay.port))
      : undefined
  const log = createLogger({
    format: flags.logFormat,
    level: flags.logLevel,
    ...(screen === undefined ? {} : { write: (line: string) => screen.addLine(line) }),
  })
  const agent = new Agent({
    dataPlane,
    log,
    relay,
    otherRelays,
    proxy,
    trust,
    ...(flags.tlsMinVersion === undefined ? {} : { tlsMinVersion: flags.tlsMinVersion }),
    token,
    plain: flags.plain ?? 'passthrough',
    lanes: flags.lanes,
    tunnels,
    limits: limitsFrom(agentLimits, flags.limits),
    state: new StateFile(defaultStateDir(), purposeOf(flags, tunnels)),
    ...(screen === undefined ? {} : { onStatus: (status) => screen.update(status) }),
  })
  if (trust.kind === 'none') {
    log.warn('agent.insecure', {}, "the relay's certificate is not verified: whoever is in between reads along")
  }
  for (const spec of tunnels) {
    if (spec.target.kind !== 'tls' || spec.targetTrust.kind !== 'none') continue
    log.warn('agent.insecure-target', { target: targetName(spec) }, "the service's certificate is not verified")
  }
  // Sockets of the native data plane do not hold the event loop.
  const alive = setInterval(() => undefined, 2 ** 30)
  const signals = onStopSignals({
    stop: (signal) => {
      log.info('agent.stopping', { signal, openJoins: agent.status.openJoins })
      void agent.stop(graceMs)
    },
    cut: () => void agent.stop(),
    ...(companion === undefined ? {} : { signals: followerStopSignals }),
  })
  const leave = companion?.(agent, log)
  try {
    agent.start().catch(() => undefined)
    const error = await agent.ended
    await agent.stop(graceMs)
    screen?.close()
    if (error === undefined) {
      log.info('agent.stopped')
      return exitCodes.ok
    }
    log.error('agent.refused', { code: error.code, error: error.message })
    fail(error)
    return exitCodes.refused
  } finally {
    leave?.()
    signals.dispose()
    screen?.close()
    clearInterval(alive)
  }
}

/** What makes one agent another than the next: the same command again is the same agent come back. */
function purposeOf({ relay: [relay] }: SessionFlags, tunnels: readonly TunnelSpec[]): string {
  const kinds = tunnels.map(({ protocol, target, subdomain, hostname, remotePort }) => {
    return [protocol, target, subdomain, hostname, remotePort]
  })
  return JSON.stringify([relay.host, relay.port, ...kinds])
}

import { setMaxListeners } from 'node:events'
import { mkdir } from 'node:fs/promises'
import type { RelaySettings } from '../config/relay-settings.ts'
import { mergedSettings, type SettingsChange, settingsChange } from '../config/settings-change.ts'
import type { Address, DataPlane, Endpoint, Listener, Parcel } from '../dataplane/types.ts'
import type { Logger } from '../observe/log.ts'
import { Refusals } from '../observe/refusals.ts'
import { Access } from './access.ts'
import { type Addresses, addressesOf } from './addresses.ts'
import { ControlRegistry } from './control-registry.ts'
import { drained } from './drain.ts'
import { HeldPorts } from './held-ports.ts'
import { bequests, type Inheritance, type RelayRole } from './inheritance.ts'
import { JoinBook } from './join-book.ts'
import { listenOn } from './listen.ts'
import { Login } from './login.ts'
import { ProxyGate } from './proxy-gate.ts'
import { Registrar } from './registrar.ts'
import { RelayCertificates } from './relay-certificates.ts'
import { listenAddresses, RelayListeners } from './relay-listeners.ts'
import { TcpFront } from './tcp-front.ts'
import { Ticker } from './ticker.ts'
import { TlsDoor, terminating } from './tls-door.ts'
import { TokenWarden } from './token-warden.ts'
import type { Tunnel } from './tunnel.ts'
import { TunnelPort } from './tunnel-port.ts'
import { TunnelRegistry } from './tunnel-registry.ts'
import type { FrontPorts } from './urls.ts'
import { WebFront, type WebFrontOptions } from './web-front.ts'

/** What a relay is made of. */
export interface RelayOptions {
  readonly settings: RelaySettings
  readonly dataPlane: DataPlane
  readonly log: Logger
  /** What it takes over from another relay, or a service manager. */
  readonly inheritance?: Inheritance
}

/** How long a stopping relay keeps its agents for visitors who are on their way to them, ms. */
const lastServiceMs = 1_000
/** How long an agent has at least to come from a relay to its successor, ms. One of 1.x tries again after a second. */
const leastReturnMs = 30_000
/** How long aborted joins may take to tell of their end, ms. */
const abortMs = 1_000
/** How many ticks (seconds) lie between two looks whether what is remembered must be saved. */
const saveTicks = 5

/** The public server: owns every listener, session and front. */
export class Relay {
  readonly #options: RelayOptions
  readonly #settings: { -readonly [K in keyof RelaySettings]: RelaySettings[K] }
  readonly #sessions = new ControlRegistry()
  readonly #registry = new TunnelRegistry()
  readonly #joins = new JoinBook()
  readonly #abort = new AbortController()
  readonly #addresses: Addresses
  readonly #listeners: RelayListeners
  readonly #webFronts: WebFront[] = []
  readonly #gate: ProxyGate
  readonly #refusals: Refusals
  readonly #held: HeldPorts
  #certificates: RelayCertificates | undefined
  #door: TlsDoor | undefined
  #warden: TokenWarden | undefined
  #ticker: Ticker | undefined
  #ticks = 0
  #saveFailed = false
  #login: Login | undefined
  #registrar: Registrar | undefined
  #stopping: Promise<void> | undefined
  #retiring: Promise<void> | undefined
  /** False while another relay has the same sockets. */
  #sole = true
  /** Nobody is waited for any more. */
  #hurry = false
  #started = false

  constructor(options: RelayOptions) {
    const { log } = options
    // Its parts keep this object, and look into it when they need a setting.
    const settings = { ...options.settings, limits: { ...options.settings.limits } }
    this.#settings = settings
    this.#options = { ...options, settings }
    this.#refusals = new Refusals(log)
    // Each web join listens to it: many at once are no leak.
    setMaxListeners(0, this.#abort.signal)
    this.#gate = new ProxyGate(settings, this.#refusals)
    this.#addresses = addressesOf(settings)
    this.#listeners = new RelayListeners({
      dataPlane: options.dataPlane,
      log,
      addresses: listenAddresses(settings),
      inheritance: options.inheritance,
    })
    this.#held = new HeldPorts({
      dataPlane: options.dataPlane,
      refusals: this.#refusals,
      limits: settings.limits,
      before: (serve) => this.#gate.before(serve),
    })
  }

  /**
   * Makes a relay and starts it: resolves when it listens everywhere. Rejects with ERR_TOKENS_MISSING, ERR_CONFIG (the
   * tokens file), ERR_CERTIFICATE or ERR_LISTEN; nothing is left listening then.
   */
  static async start(options: RelayOptions): Promise<Relay> {
    const relay = new Relay(options)
    try {
      await relay.#start()
      relay.#started = true
    } catch (error) {
      await relay.stop(0)
      throw error
    }
    return relay
  }

  /** Where it listens, with real ports. */
  address(role: RelayRole): Address | undefined {
    return this.#listeners.all.get(role)?.address
  }

  /** Live control sessions, tunnels and joins. */
  get counts(): { readonly sessions: number; readonly tunnels: number; readonly visitors: number } {
    const visitors = this.#webFronts.reduce(
      (sum, front) => sum + front.active,
      this.#joins.size + (this.#door?.pending ?? 0),
    )
    return { sessions: this.#sessions.size, tunnels: this.#registry.size, visitors }
  }

  /** Of all sessions: proxy connections that wait for visitors, and lanes that have one. */
  get proxies(): { readonly idle_proxies: number; readonly busy_lanes: number } {
    let idle = 0
    let busy = 0
    for (const { proxies } of this.#sessions) {
      idle += proxies.idle
      busy += proxies.busy
    }
    return { idle_proxies: idle, busy_lanes: busy }
  }

  /** What was refused so far, by code. */
  get refusals(): Refusals {
    return this.#refusals
  }

  /**
   * Stops: takes nobody new, closes tunnels, lets joins finish for at most `drainMs` (default: the settings') and aborts
   * the rest. Idempotent, but 0 cuts an earlier call's wait short; never rejects.
   */
  stop(drainMs = this.#options.settings.drainTimeoutMs): Promise<void> {
    if (drainMs === 0) this.#hurry = true
    this.#stopping ??= this.#stop(drainMs)
    return this.#stopping
  }

  /**
   * Takes over what can be of other settings, and says what. Reads the tokens file again. What a token doesn't allow any more ends at once: its
   * sessions and tunnels, and with a token that is worthless its joins. Never rejects: a bad file changes nothing.
   */
  async reload(next: RelaySettings): Promise<SettingsChange> {
    const change = settingsChange(this.#settings, next)
    const { limits, ...merged } = mergedSettings(this.#settings, next)
    Object.assign(this.#settings, merged)
    Object.assign(this.#settings.limits, limits)
    for (const front of this.#webFronts) front.configure()
    await this.#warden?.reload(next.tokens)
    return change
  }

  /** What a successor needs, for `sendParcels`: the sockets, which go on here until {@link leave}, and the memory. */
  bequests(): readonly Parcel<Listener>[] {
    const ports = [...(this.#registrar?.listeners ?? []), ...this.#held.listeners]
    return bequests({ roles: this.#listeners.all, ports, memory: this.#addresses.affinity.items() })
  }

  /**
   * Leaves the public side to another relay that has the {@link bequests}. Joins go on. Resolves when the tunnel port is
   * the other's. Idempotent; never rejects.
   */
  leave(): Promise<void> {
    this.#sole = false
    this.#retiring ??= this.#retire(lastServiceMs)
    return this.#retiring
  }

  /** Resolves when no visitor is left. For a relay that has left. */
  async emptied(): Promise<void> {
    await drained({ left: () => this.counts.visitors, limitMs: Number.POSITIVE_INFINITY, log: this.#options.log })
  }

  async #start(): Promise<void> {
    const { settings, dataPlane, log } = this.#options
    const { limits } = settings
    const refusals = this.#refusals
    const warden = await TokenWarden.open({ settings, dataPlane, sessions: this.#sessions, log })
    this.#warden = warden
    const certificates = await RelayCertificates.open(settings, log)
    this.#certificates = certificates
    const tcpFront = new TcpFront({ dataPlane, joins: this.#joins, log, refusals })
    const { inheritance } = this.#options
    const { affinity } = this.#addresses
    this.#sole = inheritance?.shared !== true
    const graceMs = Math.max(leastReturnMs, settings.nameGraceMs)
    if (this.#sole) await affinity.load()
    else {
      affinity.inherit(inheritance?.memory ?? [], graceMs)
      await this.#listeners.reserve()
    }
    const serve = (tunnel: Tunnel, visitor: Endpoint): void => tcpFront.serve(tunnel, visitor)
    const door = new TlsDoor({
      dataPlane,
      certificates: certificates.fronts,
      limits,
      refusals,
    })
    this.#door = door
    const gate = this.#gate
    const ports = await this.#openWebFronts({ certificates: certificates.fronts, door, passThrough: serve })
    const registrar = new Registrar({
      settings,
      ports,
      registry: this.#registry,
      ...this.#addresses,
      byToken: !settings.open,
      log,
      listen: async (port, onEndpoints) =>
        this.#claim(port, onEndpoints) ??
        (await listenOn(dataPlane, { host: settings.tunnelAddr.host, port }, gate.before(onEndpoints))),
      serve: (tunnel, visitor) => {
        if (!tunnel.terminates || !tunnel.welcomes(visitor)) return serve(tunnel, visitor)
        const secured = (endpoint: Endpoint): void => serve(tunnel, endpoint)
        door.open(visitor, terminating(secured))
      },
    })
    this.#registrar = registrar
    const login = new Login({
      dataPlane,
      settings,
      tokens: warden.tokens,
      sessions: this.#sessions,
      registrar,
      log,
      refusals,
    })
    for (const socket of inheritance?.ports ?? []) await this.#held.hold(socket, graceMs)
    this.#login = login
    const tunnelPort = new TunnelPort({
      dataPlane,
      certificate: () => certificates.tunnel,
      minVersion: settings.tlsMinVersion,
      login,
      sessions: this.#sessions,
      limits,
      access: new Access(settings),
      get allowPlain() {
        return settings.allowPlain
      },
      refusals,
    })
    this.#ticker = new Ticker((now, stoppedMs) => this.#tick(now, stoppedMs))
    await inheritance?.arrived()
    this.#sole = true
    await this.#listeners.open('tunnel', (batch) => {
      for (const endpoint of batch) tunnelPort.serve(endpoint)
    })
  }

  /** The listener of a port that an earlier relay had, for the owner of then. */
  #claim(port: number, serve: (batch: readonly Endpoint[]) => void): Listener | undefined {
    return this.#addresses.reservations.isAway('port', `${port}`) ? this.#held.claim(port, serve) : undefined
  }

  async #openWebFronts(tls: Pick<WebFrontOptions, 'certificates' | 'door' | 'passThrough'>): Promise<FrontPorts> {
    const { settings, dataPlane, log } = this.#options
    const refusals = this.#refusals
    const ports: { http?: number; https?: number } = {}
    for (const scheme of ['http', 'https'] as const) {
      if (!this.#listeners.has(scheme)) continue
      const registry = this.#registry
      const addresses = this.#addresses
      const { signal } = this.#abort
      const front = new WebFront({
        scheme,
        dataPlane,
        registry,
        addresses,
        settings,
        ports,
        ...tls,
        signal,
        log,
        refusals,
      })
      const bound = await this.#listeners.open(
        scheme,
        this.#gate.before((batch) => front.serve(batch)),
      )
      this.#webFronts.push(front)
      ports[scheme] = bound.family === 'unix' ? 0 : bound.port
    }
    return ports
  }

  #tick(now: number, stoppedMs: number): void {
    this.#warden?.tick()
    this.#refusals.tick()
    this.#held.tick(now)
    for (const session of this.#sessions) {
      if (stoppedMs > 0) session.pardon(stoppedMs)
      session.tick(now)
    }
    this.#ticks++
    if (this.#ticks % saveTicks === 0) void this.#save()
  }

  async #save(): Promise<void> {
    const { affinity } = this.#addresses
    // What another relay has learned since is worth more.
    if (!affinity.changed || !this.#sole) return
    try {
      await mkdir(this.#options.settings.stateDir, { recursive: true })
      await affinity.save()
    } catch (error) {
      // Once: it is tried again every few seconds, and nothing but comfort depends on it.
      if (!this.#saveFailed) this.#options.log.warn('affinity.unsaved', { error: String(error) })
      this.#saveFailed = true
    }
  }

  async #stop(drainMs: number): Promise<void> {
    this.#ticker?.stop()
    this.#warden?.close()
    this.#retiring ??= this.#retire(Math.min(drainMs, lastServiceMs))
    await this.#retiring
    const { log } = this.#options
    const isOver = (): boolean => this.#hurry
    const left = await drained({ left: () => this.counts.visitors, limitMs: drainMs, isOver, log })
    const why = this.#hurry ? 'there was no more time for them' : 'they have not left within drain_timeout'
    if (left > 0) log.warn('relay.cut', { visitors: left }, why)
    this.#joins.destroyAll()
    this.#abort.abort()
    for (const front of this.#webFronts) front.abort()
    await drained({ left: () => this.counts.visitors, limitMs: abortMs })
    await this.#save()
    if (this.#started) log.info('relay.stopped')
  }

  /** Takes nobody new, brings those who have come in to their agents, then sends the agents away. Joins go on. */
  async #retire(limitMs: number): Promise<void> {
    const tunnelPort = this.#listeners.all.get('tunnel')
    const others = [...this.#listeners.all.values(), ...(this.#registrar?.listeners ?? [])]
    await Promise.allSettled([
      ...others.filter((listener) => listener !== tunnelPort).map((listener) => this.#end(listener)),
      this.#held.close((listener) => this.#end(listener)),
    ])
    await drained({ left: () => this.#unserved, limitMs, isOver: () => this.#hurry })
    // Last, as those visitors needed proxy connections.
    if (tunnelPort !== undefined) await this.#end(tunnelPort)
    this.#listeners.shut()
    this.#login?.close()
    for (const session of this.#sessions) session.drain()
    this.#addresses.returns.close()
    this.#gate.close()
    this.#door?.close()
    this.#certificates?.close()
    for (const front of this.#webFronts) front.close()
  }

  /** A listener that is closed accepts first what the kernel has queued: these come in as all before them did. */
  #end(listener: Listener): Promise<void> {
    return this.#sole ? listener.close() : listener.leave()
  }

  /** Visitors who have come in and not got to their agent yet. */
  get #unserved(): number {
    let count = this.#gate.pending + (this.#door?.pending ?? 0)
    for (const front of this.#webFronts) count += front.pending
    for (const session of this.#sessions) count += session.waiting
    return count
  }
}

import { MillraceError } from '../../errors.ts'
import { maxLaneOpen } from '../../wire/limits.ts'
import type { Endpoint, Lane, LaneEvents, LaneRole } from '../types.ts'
import type { Core, EndpointEvents } from './core.ts'
import { NativeEndpoint } from './endpoint.ts'
import type { NativeEndpointOptions, Secured, VisitSeat } from './endpoint-parts.ts'
import type { AddressSource } from './events.ts'

/** A lane whose connection the engine owns. It takes the place of the connection's endpoint in the core. */
export class NativeLane implements Lane, EndpointEvents, VisitSeat, NativeEndpointOptions {
  readonly #core: Core
  readonly #id: number
  readonly #role: LaneRole
  readonly #events: LaneEvents
  readonly #local: AddressSource
  readonly #remote: AddressSource
  /** The carrier's, and so each visit's. */
  readonly secured: Secured | undefined
  #state: 'free' | 'busy' | 'gone' = 'free'
  #destroyed = false
  /** Whom the events of the visit concern. */
  #visit: NativeEndpoint | undefined
  /** What the OPEN of a visit is to carry that has not begun. */
  #start: Uint8Array | undefined

  /** `endpoint` is usable and no visit. */
  constructor(core: Core, endpoint: NativeEndpoint, role: LaneRole, events: LaneEvents) {
    this.#core = core
    this.#id = endpoint.id
    this.#role = role
    this.#events = events
    this.secured = endpoint.secured
    const { open } = endpoint
    const { local, remote, unread, flushes } = endpoint.handOver()
    this.#local = local
    this.#remote = remote
    flushes?.settle(new MillraceError('ERR_ENDPOINT_JOINED'))
    if (open) {
      core.addEndpoint(this.#id, this)
      core.addon.lane(this.#id, role === 'opens', unread)
    } else process.nextTick(() => this.onGone())
  }

  get seat(): VisitSeat {
    return this
  }

  get free(): boolean {
    return this.#state === 'free'
  }

  open(start: Uint8Array): Endpoint {
    if (this.#role !== 'opens' || this.#state !== 'free') {
      throw new MillraceError('ERR_OPTION', 'open: the lane has a visit, or is not for this end to open')
    }
    if (start.length === 0 || start.length > maxLaneOpen) {
      throw new MillraceError('ERR_FRAME_UNSENDABLE', `OPEN, ${start.length}`)
    }
    this.#start = start
    return this.#begun()
  }

  destroy(how: 'fin' | 'reset' = 'fin'): void {
    if (this.#state === 'gone') return
    this.#state = 'gone'
    this.#destroyed = true
    this.#core.addon.destroy(this.#id, how === 'reset')
  }

  begin(bytes?: Uint8Array): boolean {
    const start = this.takeStart()
    if (start === undefined) return false
    this.#core.addon.open(this.#id, start, bytes)
    return true
  }

  takeStart(): Uint8Array | undefined {
    const start = this.#start
    this.#start = undefined
    return start
  }

  quit(): void {
    this.#visit = undefined
  }

  leave(reset: boolean): void {
    this.#visit = undefined
    if (this.takeStart() === undefined) this.#core.addon.leave(this.#id, reset)
    else process.nextTick(() => this.onLaneFree())
  }

  onLaneOpened(start: Buffer): void {
    this.#events.onVisit?.(this.#begun(), start)
  }

  onLaneFree(): void {
    if (this.#state === 'gone') return
    this.#state = 'free'
    this.#events.onFree?.()
  }

  onRead(status: number, bytes: Buffer | undefined): void {
    this.#visit?.onRead(status, bytes)
  }

  onFlushed(errno: number): void {
    this.#visit?.onFlushed(errno)
  }

  onPeerEnded(errno: number): void {
    this.#visit?.onPeerEnded(errno)
  }

  onGone(errno = 0): void {
    const visit = this.#visit
    this.#visit = undefined
    this.#state = 'gone'
    visit?.onGone(errno)
    if (!this.#destroyed) this.#events.onClosed()
  }

  onDialed(): void {}
  onReleased(): void {}
  onSecured(): void {}

  #begun(): NativeEndpoint {
    this.#state = 'busy'
    this.#visit = new NativeEndpoint(this.#core, this.#id, this.#local, this.#remote, this)
    return this.#visit
  }
}

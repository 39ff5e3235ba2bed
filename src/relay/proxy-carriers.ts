import type { DataPlane, Endpoint, Lane, LaneEvents } from '../dataplane/types.ts'
import { encodeBody, encodeMessage } from '../wire/codec.ts'
import type { StartProxy } from '../wire/messages.ts'

/** What an agent has opened to carry visitors on, while nobody is on it. */
export interface ProxyCarrier {
  readonly encrypted: boolean
  /** False once it has died, which its pool hears of a moment later. */
  readonly usable: boolean
  /** It is free again when its visitor is done. */
  readonly returns: boolean
  /** Tells the agent of a visitor; what is returned carries it, and is the caller's. */
  start(message: StartProxy): Endpoint
  destroy(): void
}

/** What becomes of a carrier; its pool listens. */
export interface CarrierEvents {
  /** It has died; of its visitor, if there is one, others take care. */
  dead(carrier: ProxyCarrier): void
  /** Its visitor is done, and it can take the next. */
  free(carrier: ProxyCarrier): void
}

/** A proxy connection that serves one visitor. */
export class OneShot implements ProxyCarrier {
  readonly returns = false
  readonly usable = true
  readonly encrypted: boolean
  readonly #proxy: Endpoint

  constructor(proxy: Endpoint, events: CarrierEvents) {
    this.encrypted = proxy.encrypted
    this.#proxy = proxy
    proxy.onClosed(() => events.dead(this))
  }

  start(message: StartProxy): Endpoint {
    this.#proxy.write(encodeMessage(message))
    return this.#proxy
  }

  destroy(): void {
    this.#proxy.destroy()
  }
}

/** A lane, which serves one after another. It listens to its lane itself: closures would weigh more than all of it. */
export class LaneCarrier implements ProxyCarrier, LaneEvents {
  readonly returns = true
  readonly encrypted: boolean
  readonly #lane: Lane
  readonly #events: CarrierEvents

  /** Uses the proxy connection up. */
  constructor(dataPlane: DataPlane, proxy: Endpoint, events: CarrierEvents) {
    this.encrypted = proxy.encrypted
    this.#events = events
    this.#lane = dataPlane.lane(proxy, 'opens', this)
  }

  get usable(): boolean {
    return this.#lane.free
  }

  start(message: StartProxy): Endpoint {
    return this.#lane.open(encodeBody(message))
  }

  onFree(): void {
    this.#events.free(this)
  }

  onClosed(): void {
    this.#events.dead(this)
  }

  destroy(): void {
    this.#lane.destroy()
  }
}

import type { DataPlane, Endpoint, Lane } from '../dataplane/types.ts'
import { decodeBody } from '../wire/codec.ts'
import type { Message, UnknownMessage } from '../wire/messages.ts'

/** What happens on a lane. */
export interface ProxyLaneEvents {
  /** A visit has begun, with this message. What this throws is a fault of the relay's. */
  started(visit: Endpoint, message: Message | UnknownMessage): void
  /** The relay sent what it may not, and the lane has been closed for it. */
  failed(error: unknown): void
}

/** The lanes of one session, up to their ends. */
export class ProxyLanes {
  readonly #dataPlane: DataPlane
  readonly #idle = new Set<Lane>()
  #closed = false

  constructor(dataPlane: DataPlane) {
    this.#dataPlane = dataPlane
  }

  /** Lanes without a visitor. */
  get idle(): number {
    return this.#idle.size
  }

  /** Makes a registered proxy connection one of them. */
  add(endpoint: Endpoint, events: ProxyLaneEvents): void {
    const lane = this.#dataPlane.lane(endpoint, 'accepts', {
      onVisit: (visit, start) => {
        this.#idle.delete(lane)
        try {
          events.started(visit, decodeBody(start))
        } catch (error) {
          visit.destroy('reset')
          lane.destroy('reset')
          events.failed(error)
        }
      },
      onFree: () => {
        if (this.#closed) lane.destroy()
        else this.#idle.add(lane)
      },
      onClosed: () => this.#idle.delete(lane),
    })
    this.#idle.add(lane)
    if (this.#closed) this.close()
  }

  /** The relay won't send visitors any more: whoever is there goes on, and takes the lane along. */
  close(): void {
    this.#closed = true
    for (const lane of this.#idle) lane.destroy()
    this.#idle.clear()
  }
}

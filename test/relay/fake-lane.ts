import assert from 'node:assert/strict'
import type { CarrierEvents, ProxyCarrier } from '../../src/relay/proxy-carriers.ts'
import type { StartProxy } from '../../src/wire/messages.ts'
import { FakeEndpoint } from './fake-endpoint.ts'

/** A lane without a connection, for what only keeps and hands out carriers. */
export class FakeLane implements ProxyCarrier {
  readonly encrypted: boolean
  readonly returns = true
  /** False: it has died, and nobody has been told yet. */
  usable = true
  readonly started: StartProxy[] = []
  destroyed = false
  #visit: FakeEndpoint | undefined
  readonly #events: CarrierEvents

  constructor(events: CarrierEvents, encrypted = true) {
    this.#events = events
    this.encrypted = encrypted
  }

  start(message: StartProxy): FakeEndpoint {
    assert(this.#visit === undefined, 'one visitor at a time')
    assert(!this.destroyed && this.usable, 'none on a lane that was closed or has died')
    this.started.push(message)
    this.#visit = new FakeEndpoint(this.encrypted)
    return this.#visit
  }

  destroy(): void {
    this.destroyed = true
  }

  /** The visitor on it is done. */
  leave(): void {
    assert(this.#visit !== undefined)
    this.#visit = undefined
    this.#events.free(this)
  }

  /** The connection is lost. */
  die(): void {
    this.#events.dead(this)
  }
}

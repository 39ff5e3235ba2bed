import assert from 'node:assert/strict'
import { encodeBody } from '../../src/wire/codec.ts'
import { Lane, type LaneEvent } from '../../src/wire/lane.ts'
import type { StartProxy } from '../../src/wire/messages.ts'
import { Mailbox } from './events.ts'
import type { Wire } from './fake-relay.ts'

/** The relay's end of a lane, made by hand. */
export class RelayLane {
  readonly #wire: Wire
  readonly #lane: Lane
  readonly #events = new Mailbox<LaneEvent>('a frame')

  /** Takes over a proxy connection whose `RegProxy` has come. */
  constructor(wire: Wire) {
    this.#wire = wire
    this.#lane = new Lane('opens', (frame) => wire.socket.write(frame))
    wire.socket.on('data', (bytes: Buffer) => {
      for (const event of this.#lane.receive(bytes)) this.#events.put(event)
    })
  }

  get free(): boolean {
    return this.#lane.free
  }

  /** Begins a visit; `start` is a message, or what stands in its place. */
  open(start: StartProxy | Buffer): void {
    this.#lane.open(Buffer.isBuffer(start) ? start : encodeBody(start))
  }

  write(text: string): void {
    assert(this.#lane.data(Buffer.from(text, 'latin1')))
  }

  end(): void {
    assert(this.#lane.end())
  }

  /** All that comes up to the service's FIN, as text. */
  async rest(): Promise<string> {
    let text = ''
    for (;;) {
      const event = await this.#events.next()
      if (event.kind === 'end') return text
      assert(event.kind === 'data', event.kind)
      text += event.bytes.toString('latin1')
    }
  }

  /** The visit is reset. */
  async wasReset(): Promise<string> {
    const event = await this.#events.next()
    assert(event.kind === 'reset', event.kind)
    return event.reason
  }

  /** The agent ends the connection. */
  async closed(): Promise<'fin' | 'reset'> {
    return await this.#wire.end()
  }
}

import assert from 'node:assert/strict'
import { decodeBody } from '../../src/wire/codec.ts'
import { Lane, type LaneEvent } from '../../src/wire/lane.ts'
import type { LaneReset } from '../../src/wire/lane-frame.ts'
import type { StartProxy } from '../../src/wire/messages.ts'
import type { Ending, FrameSocket } from './frame-socket.ts'

const waitMs = 15_000

/** The agent's end of a lane, made by hand: does nothing by itself. */
export class LanePeer {
  readonly #proxy: FrameSocket
  readonly #lane: Lane
  readonly #events: LaneEvent[] = []
  #ended: Ending | undefined
  #wake: () => void = () => undefined

  /** Takes a registered proxy connection over. */
  constructor(proxy: FrameSocket) {
    this.#proxy = proxy
    this.#lane = new Lane('accepts', (frame) => proxy.write(frame))
    const take = (bytes: Buffer): void => {
      this.#events.push(...this.#lane.receive(bytes))
      this.#wake()
    }
    proxy.socket.removeAllListeners('data')
    proxy.socket.on('data', take)
    if (proxy.unread.length > 0) take(proxy.unread)
    const end = async (): Promise<void> => {
      this.#ended = await proxy.ended()
      this.#wake()
    }
    // It lives as long as it likes.
    end().catch(() => end())
  }

  /** Nobody is on it. */
  get free(): boolean {
    return this.#lane.free
  }

  /** The next visit begins. */
  async opened(): Promise<StartProxy> {
    const { payload } = await this.#next('open')
    const message = decodeBody(payload)
    assert(message.type === 'StartProxy')
    return message
  }

  /** Exactly so many bytes of the visitor's, as text. */
  async read(n: number): Promise<string> {
    let text = ''
    while (text.length < n) text += (await this.#next('data')).bytes.toString('latin1')
    assert.equal(text.length, n)
    return text
  }

  /** The visitor's FIN. */
  async fin(): Promise<void> {
    await this.#next('end')
  }

  /** The visitor's reset. */
  async wasReset(): Promise<LaneReset> {
    return (await this.#next('reset')).reason
  }

  write(text: string): void {
    assert(this.#lane.data(Buffer.from(text, 'latin1')))
  }

  end(): void {
    assert(this.#lane.end())
  }

  reset(reason: LaneReset): void {
    assert(this.#lane.reset(reason))
  }

  /** Says what no state allows. */
  misbehave(): void {
    this.#proxy.write(Buffer.alloc(8))
  }

  /** The connection is lost. */
  kill(): void {
    this.#proxy.reset()
  }

  /** How the relay ended the connection. */
  async closed(): Promise<Ending> {
    await this.#until(() => this.#ended !== undefined, 'the end of the lane')
    assert(this.#ended !== undefined)
    return this.#ended
  }

  /** Has the visitor's FIN and gives the same back: the whole of a visit that says nothing more. */
  async finish(): Promise<void> {
    await this.fin()
    this.end()
  }

  async #next<K extends LaneEvent['kind']>(kind: K): Promise<Extract<LaneEvent, { kind: K }>> {
    await this.#until(() => this.#events.length > 0, `${kind}`)
    const [event] = this.#events.splice(0, 1)
    assert.equal(event?.kind, kind)
    return event as Extract<LaneEvent, { kind: K }>
  }

  async #until(test: () => boolean, what: string): Promise<void> {
    const due = performance.now() + waitMs
    while (!test()) {
      assert(this.#ended === undefined, `the lane ended (${this.#ended}) before: ${what}`)
      await new Promise<void>((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error(`waited for ${what}`)), due - performance.now())
        this.#wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
  }
}

import { strict as assert } from 'node:assert'
import type { Bed } from './bed.ts'
import { ended } from './contract.ts'
import type { Peer } from './peer.ts'
import type { End, Step } from './script.ts'
import { eventually, sleep, within } from './wait.ts'

/** What the script has made of one end. */
interface State {
  readonly peer: Peer
  readonly other: () => State
  /** Bytes that it was told to send. */
  planned: number
  /** Of those, how many the other end has for certain. */
  confirmed: number
  finned: boolean
  /** The other end has seen the FIN. */
  finConfirmed: boolean
  /** Its writes and its FIN, one after the other. */
  queue: Promise<unknown>
}

/**
 * Plays a script on a join (or a direct connection) and checks everything that must be the same on every
 * implementation: the bytes, the order of FIN and RST, the counters and the reason. Throws at the first difference.
 */
export class Player {
  readonly #bed: Bed
  readonly #unix: boolean
  readonly #a: State
  readonly #b: State
  #cut: State | 'join' | undefined

  private constructor(bed: Bed, unix: boolean) {
    this.#bed = bed
    this.#unix = unix
    this.#a = this.#state(bed.a, () => this.#b)
    this.#b = this.#state(bed.b, () => this.#a)
  }

  /** Plays and checks. `unix`: one of the ends is a unix socket, which has no RST. */
  static async play(steps: readonly Step[], bed: Bed, unix: boolean): Promise<void> {
    const player = new Player(bed, unix)
    for (const step of steps) {
      if (player.#cut === undefined) await player.#step(step)
    }
    await (player.#cut === undefined ? player.#checkEnd() : player.#checkCut(player.#cut))
  }

  #state(peer: Peer, other: () => State): State {
    return { peer, other, planned: 0, confirmed: 0, finned: false, finConfirmed: false, queue: Promise.resolve() }
  }

  #end(who: End): State {
    return who === 'a' ? this.#a : this.#b
  }

  async #step(step: Step): Promise<void> {
    switch (step.do) {
      case 'rest':
        await sleep(step.ms)
        return
      case 'send':
        this.#send(this.#end(step.who), step.bytes, step.chunk)
        return
      case 'stall':
        this.#end(step.who).peer.stall()
        return
      case 'resume':
        this.#end(step.who).peer.resume()
        return
      case 'fin':
        this.#fin(this.#end(step.who))
        return
      case 'receipt':
        await this.#receipt(this.#end(step.who))
        return
      case 'reset':
        this.#reset(this.#end(step.who))
        return
      case 'destroy':
        this.#destroy()
        return
      default:
        return step satisfies never
    }
  }

  #send(end: State, bytes: number, chunk: number): void {
    if (end.finned) return
    end.planned += bytes
    end.queue = end.queue.then(() => end.peer.send(bytes, chunk))
  }

  #fin(end: State): void {
    if (end.finned) return
    end.finned = true
    end.queue = end.queue.then(() => {
      end.peer.end()
    })
  }

  async #receipt(end: State): Promise<void> {
    const reader = end.other().peer
    reader.resume()
    await within(end.queue, `${end.peer.name} has sent`)
    await reader.untilReceived(end.planned)
    end.confirmed = end.planned
    if (end.finned) {
      await reader.untilFin(end.planned)
      end.finConfirmed = true
    }
    const { join } = this.#bed
    if (join === undefined) return
    const direction = end === this.#a ? 'aToB' : 'bToA'
    await eventually(
      () => `${direction} counts ${end.planned}, not ${join.bytes[direction]}`,
      () => join.bytes[direction] === BigInt(end.planned),
    )
  }

  #reset(end: State): void {
    // Behind a FIN that is still to leave Node cannot reset; behind two FINs there is nothing left to cut.
    if (end.finned && (!end.finConfirmed || end.other().finned)) return
    this.#cut = end
    end.peer.reset()
  }

  #destroy(): void {
    if (this.#bed.join === undefined || (this.#a.finned && this.#b.finned)) return
    this.#cut = 'join'
    this.#bed.join.destroy()
  }

  /** A script without a cut: everything arrives, then FIN, both ways. */
  async #checkEnd(): Promise<void> {
    for (const end of [this.#a, this.#b]) {
      end.peer.resume()
      this.#fin(end)
    }
    for (const end of [this.#a, this.#b]) await end.other().peer.untilFin(end.planned)
    for (const { peer } of [this.#a, this.#b]) {
      await peer.until('the end', () => peer.closed)
      assert.deepEqual(peer.events, ['fin', 'closed'], peer.describe())
    }
    await ended(this.#bed, { reason: 'eof', aToB: this.#a.planned, bToA: this.#b.planned })
  }

  /** A script that ends in a cut: a prefix arrives, all of it where its receipt was awaited. */
  async #checkCut(cut: State | 'join'): Promise<void> {
    const probed: State[] = []
    for (const end of [this.#a, this.#b]) {
      if (end === cut) continue
      end.peer.resume()
      await end.peer.untilOver()
      // Node does not look at a socket after its end: only writing tells whether it was reset then.
      if (end.peer.ended && !end.peer.closed) {
        probed.push(end)
        if (this.#unix) end.peer.end()
        else if (!end.finned) await end.peer.untilReset()
      }
      this.#checkOrder(end)
    }
    const reason = cut === 'join' ? 'aborted' : 'reset'
    const result = await ended(this.#bed, { reason: this.#unix && cut !== 'join' ? ['reset', 'eof'] : reason })
    for (const end of [this.#a, this.#b]) {
      const { peer } = end.other()
      assert.ok(peer.received >= end.confirmed && peer.received <= end.peer.sent, `a prefix: ${peer.describe()}`)
      if (result === undefined) continue
      const counted = Number(end === this.#a ? result.aToB : result.bToA)
      assert.ok(counted >= peer.received && counted <= end.peer.sent, `counted ${counted}: ${peer.describe()}`)
      if (end.confirmed === end.planned && !probed.includes(end)) assert.equal(counted, end.planned, 'exact')
    }
  }

  /** FIN before RST where a FIN was seen, RST alone otherwise. Unix sockets have no RST. */
  #checkOrder(end: State): void {
    if (this.#unix) return
    const seen = end.peer.events.filter((event) => event !== 'closed').join(' ')
    const other = end.other()
    // An end that has sent its own FIN cannot tell bytes with a reset behind them from bytes with a FIN (libuv).
    const wanted = other.finConfirmed ? ['fin rst'] : other.finned ? ['rst', 'fin rst'] : ['rst']
    if (end.finned) wanted.push('fin')
    assert.ok(wanted.includes(seen), `saw [${seen}], wanted [${wanted.join('] or [')}]: ${end.peer.describe()}`)
  }
}

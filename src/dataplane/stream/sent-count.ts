import type { Socket } from 'node:net'

/** The two counters of Node's stream handles (TCPWrap, PipeWrap, TLSWrap) that no public property gives. */
interface HandleCounters {
  /** Bytes passed to the handle so far. */
  readonly bytesWritten: number
  /** Of those, bytes that the kernel has not taken yet. */
  readonly writeQueueSize: number
}

/**
 * Counts what the kernel has taken of the bytes written to one socket.
 *
 * On a plain socket the count is exact at any moment, in the middle of a large write too: bytes given to libuv less
 * those in its queue. What is left open: when the kernel takes part of a write and then refuses the rest, libuv does
 * not say where it stopped; if the socket was being read the error comes by the reading and the count stays exact,
 * else that one write (64 KiB at most in a join) counts as taken.
 *
 * On a TLS socket plaintext counts when its ciphertext has left; when the session fails, the write under way is split
 * by how much ciphertext is still queued (exact to the overhead of its records).
 */
export class SentCount {
  readonly #socket: Socket
  /** Counts plaintext for TLS sockets. */
  readonly #handle: HandleCounters | undefined
  /** The TCP or pipe handle below a TLS session. */
  readonly #below: HandleCounters | undefined
  #acknowledged: number
  #refused = 0
  #frozen = false

  /** `below` is the raw socket under a TLSSocket. */
  constructor(socket: Socket, below: Socket | undefined) {
    this.#socket = socket
    this.#handle = countersOf(socket)
    this.#below = below && countersOf(below)
    this.#acknowledged = socket.bytesWritten - socket.writableLength
  }

  /** All bytes given to the socket so far, those that wait in Node's queue included. */
  get given(): number {
    return this.#socket.bytesWritten
  }

  /** Bytes that the kernel has taken. Only grows. */
  get taken(): number {
    const handle = this.#handle
    if (this.#frozen) return this.#acknowledged
    if (handle !== undefined && this.#below === undefined) {
      const taken = handle.bytesWritten - handle.writeQueueSize
      // A handle that closed in an earlier turn says undefined; it closes by itself only once all is acknowledged.
      if (!Number.isNaN(taken)) return taken
    }
    this.acknowledge()
    return this.#acknowledged
  }

  /** Notes what has been written by now: to be called whenever writes have finished. */
  acknowledge(): void {
    const socket = this.#socket
    // Node takes a write that failed or was cut short off its queue just like one that succeeded.
    if (this.#frozen || socket.errored !== null || socket.destroyed) return
    this.#acknowledged = Math.max(this.#acknowledged, socket.bytesWritten - socket.writableLength)
  }

  /** The write just made failed within the call: of these bytes nothing was taken. */
  refuse(bytes: number): void {
    this.#refused += bytes
  }

  /** The socket failed or is about to be destroyed: settles the count. Handles keep their counters for this turn. */
  freeze(): void {
    if (this.#frozen) return
    this.#frozen = true
    const handle = this.#handle
    if (handle === undefined) return
    const open = handle.bytesWritten - this.#refused - this.#acknowledged
    const queue = (this.#below ?? handle).writeQueueSize
    if (Number.isNaN(open - queue)) return
    this.#acknowledged += Math.max(0, open - Math.min(open, queue))
  }
}

function countersOf(socket: Socket): HandleCounters | undefined {
  const handle: unknown = Reflect.get(socket, '_handle')
  if (typeof handle !== 'object' || handle === null) return undefined
  if (!('bytesWritten' in handle && 'writeQueueSize' in handle)) return undefined
  const known = typeof handle.bytesWritten === 'number' && typeof handle.writeQueueSize === 'number'
  return known ? (handle as HandleCounters) : undefined
}

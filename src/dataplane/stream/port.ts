import type { LaneReset } from '../../wire/lane-frame.ts'
import type { PortReader, PortWatcher, PortWriter } from './port-roles.ts'

/** At most this much is discarded from a peer after our last words, and it is waited for its FIN so long (ms) at most. */
export const lingerBytes = 65_536
/** See {@link lingerBytes}. */
export const lingerMs = 2_000
/** Limit for getting our last words out at all, ms. */
export const lastWordsMs = 30_000

/**
 * What carries an endpoint's bytes, with every event handled, for its whole life: whatever the peer does shows up at the
 * reader, the writer or the watcher of the moment, or nowhere. A connection of its own ({@link import('./socket-port.ts')})
 * or a visit on a lane ({@link import('./visit-port.ts')}).
 */
export interface Port {
  reader: PortReader | undefined
  writer: PortWriter | undefined
  watcher: PortWatcher | undefined
  /** True once the peer's FIN has been handed out. */
  readonly ended: boolean
  /** Errno's name once the connection has failed ('' for a socket that somebody else destroyed). */
  readonly failure: string | undefined
  /** True when it has ended without TLS's own end. */
  readonly truncated: boolean
  /** True once it is closed or about to be, whoever did it. */
  readonly gone: boolean
  /**
   * True when the connection was reset though nobody could notice: the port is paused, or its FIN has been read and
   * Node looks no more. What came before is still readable. False once we have sent FIN, when it can't be known.
   */
  readonly lost: boolean
  /** Bytes written and not yet finished, in Node's queue and libuv's. */
  readonly pending: number
  /** Bytes that were given to {@link write} so far. */
  readonly given: number
  /** Bytes that the kernel has taken so far; comparable with {@link given}. */
  readonly taken: number
  /** On a lane, where a reset travels behind what was written and destroys nothing of it. */
  readonly isVisit: boolean
  /**
   * Has bytes read ahead, telling the reader when there is something to pull. A FIN or RST is noticed as long as what
   * came before it has been pulled.
   */
  arm(): void
  /** Takes what has been read; undefined when there is nothing. */
  pull(): Buffer | undefined
  /** Has every chunk handed to the reader as it comes, until {@link pause}. */
  flow(): void
  pause(): void
  resume(): void
  /** Takes {@link arm} and {@link flow} back: what comes waits until somebody asks for it. */
  rest(): void
  /** Writes; the writer hears of it when it is done. On a failed or ended port nothing happens. */
  write(bytes: Uint8Array): void
  /** Sends FIN behind everything written. */
  end(): void
  /** RST, without waiting for anything. `why` is for a lane's peer. */
  reset(why?: LaneReset): void
  /**
   * Sends what was written, then FIN, then discards what the peer still sends, and closes: after the peer's FIN, 64 KiB
   * or 2 s.
   */
  linger(): void
  /**
   * Of a visit whose lane was lost: what was written to it from the byte `from` on. Undefined for all other ports, and
   * when anything at all of the visit may have reached the peer.
   */
  takeBack(from: number): readonly Buffer[] | undefined
}

import { makeAddress } from '../stream/address.ts'
import type { Address, EndReason } from '../types.ts'

/** The kinds of event, as EventType in native/engine/client.h numbers them. */
export const eventType = {
  accepted: 1,
  dialed: 2,
  read: 3,
  flushed: 4,
  peerEnded: 5,
  joinEnded: 6,
  released: 7,
  listenerClosed: 8,
  gone: 9,
} as const

/** ReadStatus in native/engine/client.h. */
export const readStatus = { data: 0, ended: 1, timedOut: 2, reset: 3 } as const

/** EndReason in native/engine/client.h, by number. */
export const endReasons: readonly EndReason[] = [
  'eof',
  'reset',
  'idle',
  'half-closed-idle',
  'limit',
  'stalled',
  'aborted',
  'truncated',
  'error',
]

const recordBytes = 128
const capacity = 256
/** A read of 64 KiB, the engine's largest, always fits. */
const arenaBytes = 256 * 1024

/** The address 0.0.0.0 as it is packed: unix sockets have none. */
const familyV4 = 4
const familyV6 = 6

/** An address as the engine packs it, turned into words only when somebody asks. */
export class PackedAddress {
  readonly #family: number
  readonly #port: number
  readonly #scope: number
  readonly #bytes: Uint8Array

  /** `bytes` is PackedAddress of native/engine/address.h; it is copied. */
  constructor(bytes: Uint8Array) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.#family = view.getUint16(0, true)
    this.#port = view.getUint16(2, true)
    this.#scope = view.getUint32(4, true)
    this.#bytes = bytes.slice(8, this.#family === familyV6 ? 24 : 12)
  }

  /** In the interface's words; `unix` path '' when the socket is no IP socket. */
  toAddress(): Address {
    if (this.#family === familyV4) return makeAddress(this.#bytes.join('.'), this.#port)
    if (this.#family === familyV6) return makeAddress(this.#host6(), this.#port)
    return { family: 'unix', path: '' }
  }

  #host6(): string {
    const bytes = this.#bytes
    const mapped = bytes.subarray(0, 10).every((byte) => byte === 0) && bytes[10] === 255 && bytes[11] === 255
    if (mapped) return `::ffff:${bytes.subarray(12).join('.')}`
    const view = new DataView(bytes.buffer, bytes.byteOffset)
    const groups = Array.from({ length: 8 }, (_, i) => view.getUint16(i * 2).toString(16))
    // The URL parser writes the canonical short form of RFC 5952.
    const host = new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1)
    return this.#scope === 0 ? host : `${host}%${this.#scope}`
  }
}

/** Where an address comes from: said by the engine, or known to whoever made the endpoint. */
export type AddressSource = PackedAddress | Address

/** In the interface's words. */
export function toAddress(source: AddressSource): Address {
  return 'family' in source ? source : source.toAddress()
}

/** Reads the records that the addon drains into shared buffers. One object, moved from record to record. */
export class EventReader {
  readonly records = new Uint8Array(recordBytes * capacity)
  readonly arena = new Uint8Array(arenaBytes)
  readonly #view = new DataView(this.records.buffer)
  #at = 0
  #payloadAt = 0

  /** Goes to the first record of a batch. */
  rewind(): void {
    this.#at = 0
    this.#payloadAt = 0
  }

  /** Goes to the next record. */
  next(): void {
    if (this.type === eventType.read) this.#payloadAt += this.value(0)
    this.#at += recordBytes
  }

  get type(): number {
    return this.#view.getUint32(this.#at, true)
  }

  get code(): number {
    return this.#view.getUint32(this.#at + 4, true)
  }

  get id(): number {
    return this.#view.getFloat64(this.#at + 8, true)
  }

  value(index: number): number {
    return Number(this.bigValue(index))
  }

  bigValue(index: number): bigint {
    return this.#view.getBigUint64(this.#at + 16 + index * 8, true)
  }

  get local(): PackedAddress {
    return new PackedAddress(this.records.subarray(this.#at + 64, this.#at + 96))
  }

  get remote(): PackedAddress {
    return new PackedAddress(this.records.subarray(this.#at + 96, this.#at + 128))
  }

  /** A copy of the bytes of a read event. */
  payload(): Buffer {
    return Buffer.from(this.arena.subarray(this.#payloadAt, this.#payloadAt + this.value(0)))
  }
}

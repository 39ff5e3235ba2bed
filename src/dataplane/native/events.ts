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
  secured: 10,
  laneOpened: 11,
  laneFree: 12,
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
  'unreachable',
]

/** Those that bring a payload, as has_payload() in native/engine/client.h. */
const withPayload: ReadonlySet<number> = new Set([eventType.read, eventType.secured, eventType.laneOpened])

const recordBytes = 128
const capacity = 256
/** A read of 64 KiB, the engine's largest, always fits. */
const arenaBytes = 256 * 1024

/** As it is packed: unix sockets have none. */
const familyV4 = 4
const familyV6 = 6

/** An address as the engine packs it, turned into words only when somebody asks. */
export interface PackedAddress {
  /** In the interface's words; `unix` path '' when the socket is no IP socket. */
  toAddress(): Address
}

/** Copies PackedAddress of native/engine/address.h from `offset` of `view`. */
export function packedAddress(view: DataView, offset: number): PackedAddress {
  const familyAndPort = view.getInt32(offset, true)
  switch (familyAndPort & 0xffff) {
    case familyV4:
      return new PackedV4(familyAndPort >>> 16, view.getInt32(offset + 8))
    case familyV6:
      return new PackedV6(familyAndPort >>> 16, view, offset)
    default:
      return unixAddress
  }
}

const unixAddress: PackedAddress = { toAddress: () => ({ family: 'unix', path: '' }) }

/** Whole numbers of 32 bits take no memory of their own. */
class PackedV4 implements PackedAddress {
  readonly #port: number
  readonly #word: number

  constructor(port: number, word: number) {
    this.#port = port
    this.#word = word
  }

  toAddress(): Address {
    return ipAddress(dotted(this.#word), this.#port)
  }
}

class PackedV6 implements PackedAddress {
  readonly #port: number
  readonly #scope: number
  readonly #word0: number
  readonly #word1: number
  readonly #word2: number
  readonly #word3: number

  constructor(port: number, view: DataView, offset: number) {
    this.#port = port
    this.#scope = view.getInt32(offset + 4, true)
    this.#word0 = view.getInt32(offset + 8)
    this.#word1 = view.getInt32(offset + 12)
    this.#word2 = view.getInt32(offset + 16)
    this.#word3 = view.getInt32(offset + 20)
  }

  toAddress(): Address {
    return ipAddress(this.#host(), this.#port)
  }

  #host(): string {
    const words = [this.#word0, this.#word1, this.#word2, this.#word3]
    if (words[0] === 0 && words[1] === 0 && words[2] === 0xffff) return `::ffff:${dotted(this.#word3)}`
    const groups = words.flatMap((word) => [word >>> 16, word & 0xffff]).map((group) => group.toString(16))
    // The URL parser writes the canonical short form of RFC 5952.
    const host = new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1)
    return this.#scope === 0 ? host : `${host}%${this.#scope >>> 0}`
  }
}

/** Port 0: of a connection that was gone when it was taken over. */
function ipAddress(host: string, port: number): Address {
  return makeAddress(port === 0 ? '' : host, port)
}

function dotted(word: number): string {
  return `${word >>> 24}.${(word >>> 16) & 255}.${(word >>> 8) & 255}.${word & 255}`
}

/** Where an address comes from: said by the engine, or known to whoever made the endpoint. */
export type AddressSource = PackedAddress | Address

/** What {@link toAddress} was asked for last: who decides on a visitor asks for its address several times in a row. */
let asked: { readonly source: PackedAddress; readonly address: Address } | undefined

/** In the interface's words. */
export function toAddress(source: AddressSource): Address {
  if ('family' in source) return source
  if (asked?.source !== source) asked = { source, address: source.toAddress() }
  return asked.address
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
    if (withPayload.has(this.type)) this.#payloadAt += this.value(0)
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

  /** A value below 2^53. */
  value(index: number): number {
    const at = this.#at + 16 + index * 8
    return this.#view.getUint32(at, true) + this.#view.getUint32(at + 4, true) * 2 ** 32
  }

  bigValue(index: number): bigint {
    return this.#view.getBigUint64(this.#at + 16 + index * 8, true)
  }

  get local(): PackedAddress {
    return packedAddress(this.#view, this.#at + 64)
  }

  get remote(): PackedAddress {
    return packedAddress(this.#view, this.#at + 96)
  }

  /** A copy of the bytes that the record brings. */
  payload(): Buffer {
    return Buffer.from(this.arena.subarray(this.#payloadAt, this.#payloadAt + this.value(0)))
  }
}

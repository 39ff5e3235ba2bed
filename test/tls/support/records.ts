/** Content types of TLS records, RFC 8446 section 5.1. */
export const contentType = { changeCipherSpec: 20, alert: 21, handshake: 22, data: 23, heartbeat: 24 } as const

/** Bytes of a record before its content. */
export const headerBytes = 5
/** The most that a record's plaintext may hold. */
export const maxPlaintext = 16_384

/** One record as it is on the wire, header included. */
export interface TlsRecord {
  readonly type: number
  readonly body: Buffer
  readonly bytes: Buffer
}

/** Cuts a stream of bytes into records. What is not complete waits for the next call. */
export class RecordReader {
  #waiting: Buffer = Buffer.alloc(0)

  /** The records that are complete now. */
  take(bytes: Uint8Array): TlsRecord[] {
    this.#waiting = Buffer.concat([this.#waiting, bytes])
    const records: TlsRecord[] = []
    for (;;) {
      if (this.#waiting.length < headerBytes) return records
      const end = headerBytes + this.#waiting.readUInt16BE(3)
      if (this.#waiting.length < end) return records
      const whole = this.#waiting.subarray(0, end)
      this.#waiting = this.#waiting.subarray(end)
      records.push({ type: whole[0] ?? 0, body: whole.subarray(headerBytes), bytes: whole })
    }
  }
}

/** A record; `claimed` is the length that its header tells, where that is to be wrong. */
export function record(type: number, body: Uint8Array, claimed = body.length): Buffer {
  return Buffer.concat([Buffer.from([type, 3, 3, claimed >> 8, claimed & 0xff]), body])
}

/** The contents of handshake records joined and cut anew into records of `size` bytes: their order stays. */
export function refragmented(records: readonly TlsRecord[], size: number): Buffer[] {
  const content = Buffer.concat(records.map(({ body }) => body))
  const parts: Buffer[] = []
  for (let at = 0; at < content.length; at += size) {
    parts.push(record(contentType.handshake, content.subarray(at, at + size)))
  }
  return parts
}

/** An alert's content: level 1 warns, 2 is fatal. */
export function alert(level: 1 | 2, description: number): Buffer {
  return Buffer.from([level, description])
}

/** A handshake message; `claimed` is the length that its header tells. */
export function message(type: number, body: Uint8Array = Buffer.alloc(0), claimed = body.length): Buffer {
  return Buffer.concat([Buffer.from([type, (claimed >> 16) & 0xff, (claimed >> 8) & 0xff, claimed & 0xff]), body])
}

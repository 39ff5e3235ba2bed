import { createCipheriv, createDecipheriv, createHmac, type DecipherGCM } from 'node:crypto'
import { vector, words } from './hello.ts'
import { contentType, headerBytes, record, type TlsRecord } from './records.ts'

const keyBytes = 16
const tagBytes = 16

function hmac(key: Uint8Array, ...parts: readonly Uint8Array[]): Buffer {
  const one = createHmac('sha256', key)
  for (const part of parts) one.update(part)
  return one.digest()
}

/** HKDF-Expand-Label of RFC 8446 section 7.1 with an empty context, for up to 32 bytes. */
function expandLabel(secret: Uint8Array, label: string, length: number): Buffer {
  const info = Buffer.concat([words(length), vector(1, Buffer.from(`tls13 ${label}`)), vector(1)])
  return hmac(secret, info, Buffer.of(1)).subarray(0, length)
}

/** P_SHA256 of RFC 5246 section 5. */
function prf(secret: Uint8Array, label: string, seed: Uint8Array, length: number): Buffer {
  const salt = Buffer.concat([Buffer.from(label), seed])
  const parts: Buffer[] = []
  for (let a = hmac(secret, salt); parts.length * 32 < length; a = hmac(secret, a)) parts.push(hmac(secret, a, salt))
  return Buffer.concat(parts).subarray(0, length)
}

/** Seals and opens the records of one direction with AES-128-GCM, knowing its keys: what only its sender should do. */
export interface Sealer {
  /** The next record of the direction; `type` is the one that its receiver is to see. */
  seal(type: number, content: Uint8Array): Buffer
  /** True when a record is the direction's next one, which then counts. */
  opens(one: TlsRecord): boolean
  /** What a record sealed with these keys holds at most, beside its header, as RFC and OpenSSL have it. */
  readonly maxBody: number
}

/** TLS 1.3, from the secret that the key log gives: RFC 8446 section 5.2. */
export class Sealer13 implements Sealer {
  readonly maxBody = 16_384 + 256
  #secret: Buffer
  #sequence = 0

  constructor(secret: Buffer) {
    this.#secret = secret
  }

  /** Goes on with the next keys, as behind a KeyUpdate of ours: RFC 8446 section 7.2. */
  nextKeys(): void {
    this.#secret = expandLabel(this.#secret, 'traffic upd', 32)
    this.#sequence = 0
  }

  seal(type: number, content: Uint8Array): Buffer {
    const length = content.length + 1 + tagBytes
    const cipher = createCipheriv('aes-128-gcm', expandLabel(this.#secret, 'key', keyBytes), this.#nonce())
    cipher.setAAD(Buffer.concat([Buffer.of(contentType.data), words(0x0303, length)]))
    const sealed = Buffer.concat([cipher.update(content), cipher.update(Buffer.of(type)), cipher.final()])
    this.#sequence++
    return record(contentType.data, Buffer.concat([sealed, cipher.getAuthTag()]))
  }

  opens(one: TlsRecord): boolean {
    if (one.type !== contentType.data || one.body.length < tagBytes) return false
    const decipher = createDecipheriv('aes-128-gcm', expandLabel(this.#secret, 'key', keyBytes), this.#nonce())
    decipher.setAAD(one.bytes.subarray(0, headerBytes))
    if (!authentic(decipher, one.body)) return false
    this.#sequence++
    return true
  }

  #nonce(): Buffer {
    const nonce = expandLabel(this.#secret, 'iv', 12)
    nonce.writeUInt32BE((nonce.readUInt32BE(8) ^ this.#sequence) >>> 0, 8)
    return nonce
  }
}

/** What the keys of TLS 1.2 are made of. */
export interface Secrets12 {
  readonly master: Buffer
  readonly clientRandom: Buffer
  readonly serverRandom: Buffer
}

/** TLS 1.2: RFC 5246 section 6.3 and RFC 5288 section 3. */
export class Sealer12 implements Sealer {
  readonly maxBody = 16_384 + 2_048
  readonly #key: Buffer
  readonly #salt: Buffer
  #sequence = 0

  constructor(secrets: Secrets12, sender: 'client' | 'server') {
    const seed = Buffer.concat([secrets.serverRandom, secrets.clientRandom])
    const block = prf(secrets.master, 'key expansion', seed, 2 * keyBytes + 8)
    const which = sender === 'client' ? 0 : 1
    this.#key = block.subarray(which * keyBytes, (which + 1) * keyBytes)
    this.#salt = block.subarray(2 * keyBytes + which * 4, 2 * keyBytes + which * 4 + 4)
  }

  seal(type: number, content: Uint8Array): Buffer {
    const explicit = Buffer.alloc(8)
    explicit.writeUInt32BE(this.#sequence, 4)
    const cipher = createCipheriv('aes-128-gcm', this.#key, Buffer.concat([this.#salt, explicit]))
    cipher.setAAD(this.#aad(type, content.length))
    const sealed = Buffer.concat([cipher.update(content), cipher.final()])
    this.#sequence++
    return record(type, Buffer.concat([explicit, sealed, cipher.getAuthTag()]))
  }

  opens(one: TlsRecord): boolean {
    const length = one.body.length - 8 - tagBytes
    if (length < 0) return false
    const decipher = createDecipheriv('aes-128-gcm', this.#key, Buffer.concat([this.#salt, one.body.subarray(0, 8)]))
    decipher.setAAD(this.#aad(one.type, length))
    if (!authentic(decipher, one.body.subarray(8))) return false
    this.#sequence++
    return true
  }

  #aad(type: number, length: number): Buffer {
    const sequence = Buffer.alloc(8)
    sequence.writeUInt32BE(this.#sequence, 4)
    return Buffer.concat([sequence, Buffer.of(type), words(0x0303, length)])
  }
}

function authentic(decipher: DecipherGCM, sealed: Buffer): boolean {
  try {
    decipher.setAuthTag(sealed.subarray(-tagBytes))
    decipher.update(sealed.subarray(0, -tagBytes))
    decipher.final()
    return true
  } catch {
    return false
  }
}

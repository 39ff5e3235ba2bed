import { isDnsName } from './address.ts'
import type { ClientHello } from './client-hello.ts'

const extensionServerName = 0
const extensionAlpn = 16

/** Takes fields off a message's front; `undefined` when one doesn't fit what is left. */
class Cursor {
  readonly #bytes: Uint8Array
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  get left(): number {
    return this.#bytes.length - this.#at
  }

  take(length: number): Uint8Array | undefined {
    if (length > this.left) return undefined
    this.#at += length
    return this.#bytes.subarray(this.#at - length, this.#at)
  }

  number(bytes: 1 | 2): number | undefined {
    return this.take(bytes)?.reduce((value, byte) => value * 256 + byte, 0)
  }

  /** A vector that its length precedes. */
  vector(lengthBytes: 1 | 2): Uint8Array | undefined {
    const length = this.number(lengthBytes)
    return length === undefined ? undefined : this.take(length)
  }
}

/** Reads the body of a ClientHello message: what it says, or why it is none. Never throws. */
export function parseHelloBody(body: Uint8Array): ClientHello | string {
  const cursor = new Cursor(body)
  const fixed = cursor.take(2 + 32)
  const sessionId = cursor.vector(1)
  const suites = cursor.vector(2)
  const compression = cursor.vector(1)
  if (fixed === undefined || sessionId === undefined || suites === undefined || compression === undefined) {
    return 'a ClientHello that is cut short'
  }
  if (fixed[0] !== 3) return 'an unknown version of TLS'
  if (sessionId.length > 32) return 'a session id that is too long'
  if (suites.length < 2 || suites.length % 2 !== 0) return 'a broken list of cipher suites'
  if (compression.length === 0) return 'no compression method'
  // TLS 1.2 allows a hello without extensions.
  if (cursor.left === 0) return { serverName: '', alpn: [] }
  const extensions = cursor.vector(2)
  if (extensions === undefined || cursor.left > 0) return 'extensions of a wrong length'
  return readExtensions(new Cursor(extensions))
}

function readExtensions(cursor: Cursor): ClientHello | string {
  const seen = new Set<number>()
  let serverName = ''
  let alpn: readonly string[] = []
  while (cursor.left > 0) {
    const type = cursor.number(2)
    const data = cursor.vector(2)
    if (type === undefined || data === undefined) return 'an extension that is cut short'
    // Of two names, we might route by one and the service answer for the other.
    if (seen.has(type)) return 'an extension that is there twice'
    seen.add(type)
    if (type === extensionServerName) {
      const name = readServerName(data)
      if (name === undefined) return 'a broken server name'
      serverName = name
    } else if (type === extensionAlpn) {
      const protocols = readAlpn(data)
      if (protocols === undefined) return 'a broken list of protocols'
      alpn = protocols
    }
  }
  return { serverName, alpn }
}

/** RFC 6066 section 3: one name of type host_name; no other type was ever defined. */
function readServerName(data: Uint8Array): string | undefined {
  const outer = new Cursor(data)
  const list = outer.vector(2)
  if (list === undefined || outer.left > 0) return undefined
  const names = new Cursor(list)
  const type = names.number(1)
  const bytes = names.vector(2)
  if (type !== 0 || bytes === undefined || names.left > 0) return undefined
  const name = Buffer.from(bytes).toString('latin1').toLowerCase().replace(/\.$/, '')
  return isDnsName(name) ? name : undefined
}

function readAlpn(data: Uint8Array): readonly string[] | undefined {
  const outer = new Cursor(data)
  const list = outer.vector(2)
  if (list === undefined || outer.left > 0 || list.length === 0) return undefined
  const cursor = new Cursor(list)
  const protocols: string[] = []
  while (cursor.left > 0) {
    const name = cursor.vector(1)
    if (name === undefined || name.length === 0) return undefined
    protocols.push(Buffer.from(name).toString('latin1'))
  }
  return protocols
}

import { parseHelloBody } from './client-hello-body.ts'

/** What a relay needs of a TLS ClientHello (RFC 8446 section 4.1.2) to route a connection without decrypting it. */
export interface ClientHello {
  /** The host name asked for (SNI, RFC 6066 section 3), lower case and without a last dot; '' when none. */
  readonly serverName: string
  /** The protocols offered (ALPN, RFC 7301) in the visitor's order; bytes as latin1. GREASE values are kept. */
  readonly alpn: readonly string[]
}

/**
 * What the bytes so far amount to. `more`: nothing can be said before `need` bytes are there, counted from the first.
 * `hello`: complete; its records take `length` bytes. `bad`: never a ClientHello, whatever follows; `reason` quotes
 * nothing of the visitor. `too-large`: a ClientHello perhaps, but not within the limit.
 */
export type ClientHelloResult =
  | { readonly kind: 'more'; readonly need: number }
  | { readonly kind: 'hello'; readonly hello: ClientHello; readonly length: number }
  | { readonly kind: 'bad'; readonly reason: string }
  | { readonly kind: 'too-large' }

/** Bytes of records that a ClientHello may take. Post-quantum key shares and ECH make 2 KiB, a ticket some more. */
export const defaultClientHelloBytes = 16_384

const recordHeaderBytes = 5
const messageHeaderBytes = 4
/** RFC 8446 section 5.1: the most that a record of plain text holds. */
const maxRecordBytes = 16_384

/**
 * Reads a ClientHello from a connection's first bytes. A function of the bytes alone: call it again with more until the
 * answer is not `more`; from then on further bytes change nothing. Never throws, and looks at no byte beyond `limit`.
 */
export function parseClientHello(bytes: Uint8Array, limit = defaultClientHelloBytes): ClientHelloResult {
  const message: Uint8Array[] = []
  let held = 0
  let at = 0
  for (;;) {
    const wrong = wrongRecordHeader(bytes, at)
    if (wrong !== '') return { kind: 'bad', reason: wrong }
    const start = at + recordHeaderBytes
    if (start > limit) return { kind: 'too-large' }
    if (bytes.length < start) return { kind: 'more', need: start }
    const end = start + (((bytes[at + 3] ?? 0) << 8) | (bytes[at + 4] ?? 0))
    message.push(bytes.subarray(start, Math.min(end, bytes.length)))
    const body = messageLength(message)
    if (body === 'not-a-hello') return { kind: 'bad', reason: 'the first message is no ClientHello' }
    if (body !== undefined && messageHeaderBytes + body > limit) return { kind: 'too-large' }
    // What the message still lacks at the start of this record; its own length comes with its first four bytes.
    const lacking = (body === undefined ? messageHeaderBytes : messageHeaderBytes + body) - held
    const need = Math.min(end, start + lacking)
    if (need > limit) return { kind: 'too-large' }
    if (bytes.length < need) return { kind: 'more', need }
    if (body !== undefined && start + lacking <= end) {
      const hello = parseHelloBody(joined(message).subarray(messageHeaderBytes, messageHeaderBytes + body))
      return typeof hello === 'string' ? { kind: 'bad', reason: hello } : { kind: 'hello', hello, length: need }
    }
    held += end - start
    at = end
  }
}

/** Why what is there of a record's header can't begin one with a part of a handshake; '' when it can. */
function wrongRecordHeader(bytes: Uint8Array, at: number): string {
  const [type = 22, major = 3, minor = 1] = bytes.subarray(at, at + 3)
  if (type !== 22) return 'not a TLS handshake'
  if (major !== 3 || minor > 4) return 'an unknown version of TLS'
  if (bytes.length < at + recordHeaderBytes) return ''
  const length = ((bytes[at + 3] ?? 0) << 8) | (bytes[at + 4] ?? 0)
  if (length === 0) return 'an empty handshake record'
  return length > maxRecordBytes ? 'an oversized record' : ''
}

/** The length of the message's body, once its header is there. */
function messageLength(parts: readonly Uint8Array[]): number | 'not-a-hello' | undefined {
  const header: number[] = []
  for (const part of parts) {
    header.push(...part.subarray(0, messageHeaderBytes - header.length))
    if (header.length === messageHeaderBytes) break
  }
  const [type = 1, high = 0, middle = 0, low = 0] = header
  if (type !== 1) return 'not-a-hello'
  return header.length < messageHeaderBytes ? undefined : (high << 16) | (middle << 8) | low
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const [only] = parts
  return parts.length === 1 && only !== undefined ? only : Buffer.concat(parts)
}

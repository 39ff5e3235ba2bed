import type { Endpoint } from '../dataplane/types.ts'
import { MillraceError } from '../errors.ts'
import { type ClientHello, parseClientHello } from '../net/client-hello.ts'

/** What {@link readClientHello} gives: the hello, or why there is none and what to tell the visitor. */
export type HelloReading =
  | { readonly kind: 'hello'; readonly hello: ClientHello }
  /** The visitor left without a word. */
  | { readonly kind: 'left' }
  | {
      readonly kind: 'refused'
      /** ERR_CLIENT_HELLO or ERR_CLIENT_HELLO_TOO_LARGE. */
      readonly error: MillraceError
      /** True when TLS was spoken, so that an alert will be understood. */
      readonly tls: boolean
    }

/** The type of a TLS record with handshake messages (RFC 8446 section 5.1). */
const handshakeRecord = 22
const recordHeaderBytes = 5

/**
 * Looks at a visitor's ClientHello and takes nothing: whoever gets the endpoint next sees it from its first byte, be
 * it our TLS or the service's. `limit` is in bytes. Rejects with ERR_TLS_TIMEOUT when it is not complete after
 * `timeoutMs`, and with ERR_ENDPOINT_*.
 */
export async function readClientHello(visitor: Endpoint, limit: number, timeoutMs: number): Promise<HelloReading> {
  const due = performance.now() + timeoutMs
  let need = recordHeaderBytes
  for (;;) {
    const bytes = await peek(visitor, need, due, timeoutMs)
    if (bytes.length === 0) return { kind: 'left' }
    const tls = bytes[0] === handshakeRecord
    const result = parseClientHello(bytes, limit)
    switch (result.kind) {
      case 'hello':
        return { kind: 'hello', hello: result.hello }
      case 'bad':
        return { kind: 'refused', tls, error: new MillraceError('ERR_CLIENT_HELLO', result.reason) }
      case 'too-large':
        return { kind: 'refused', tls, error: new MillraceError('ERR_CLIENT_HELLO_TOO_LARGE', `${limit}`) }
      case 'more':
        // Fewer than asked for: the visitor has ended.
        if (bytes.length < need) throw new MillraceError('ERR_ENDPOINT_ENDED', `${bytes.length}`)
        need = result.need
    }
  }
}

async function peek(visitor: Endpoint, need: number, due: number, timeoutMs: number): Promise<Buffer> {
  try {
    return await visitor.peek(need, Math.max(1, due - performance.now()))
  } catch (error) {
    const late = error instanceof MillraceError && error.code === 'ERR_ENDPOINT_READ_TIMEOUT'
    throw late ? new MillraceError('ERR_TLS_TIMEOUT', `${timeoutMs}`, { cause: error }) : error
  }
}

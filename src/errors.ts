/**
 * The one catalogue of error codes. A code is stable: scripts and users match on it, never on the sentence.
 * `docs/errors.md` lists the same codes, and a test holds the two together.
 */
const catalogue = {
  // Taking sockets over (adopt, join): thrown before anything is taken.
  ERR_SOCKET_TYPE: 'expected a net.Socket, got {detail}',
  ERR_SOCKET_TLS:
    'a TLSSocket cannot be adopted: its descriptor carries ciphertext; terminate TLS with secure() instead',
  ERR_SOCKET_DESTROYED: 'the socket is destroyed or has no handle',
  ERR_SOCKET_CONNECTING: 'the socket is still connecting: wait for its "connect" event',
  ERR_SOCKET_PENDING_WRITES:
    'the socket has {detail} bytes of unsent writes: wait until writableLength is 0, or pass them to the other side as a head',
  ERR_SOCKET_SAME: 'a join needs two different endpoints',
  // Endpoints.
  ERR_ENDPOINT_CLOSED: 'the endpoint is closed',
  ERR_ENDPOINT_JOINED: 'the endpoint belongs to a join: only the join may use it',
  ERR_ENDPOINT_BUSY: 'a read is already pending on this endpoint',
  ERR_ENDPOINT_ENDED: 'the peer ended the connection after {detail} bytes, before what was awaited was complete',
  ERR_ENDPOINT_RESET: 'the peer reset the connection',
  ERR_ENDPOINT_HEAD_TOO_LARGE: 'no end found within the limit of {detail} bytes',
  ERR_ENDPOINT_READ_TIMEOUT: 'nothing complete arrived within {detail} ms',
  ERR_ENDPOINT_WRITE_OVERFLOW: 'the peer does not read: more than {detail} bytes were waiting to be sent to it',
  // Listening and dialing.
  ERR_ADDRESS: 'not an address: {detail}',
  ERR_LISTEN: 'cannot listen on {detail}',
  ERR_DIAL: 'cannot connect to {detail}',
  ERR_DIAL_TIMEOUT: 'no connection within the limit: {detail}',
  ERR_TLS: 'TLS failed: {detail}',
  ERR_TLS_TIMEOUT: 'the TLS handshake did not finish within {detail} ms',
  // The data plane itself.
  ERR_DATAPLANE_MODE: 'MILLRACE_DATAPLANE must be native, copy, splice or stream, not {detail}',
  ERR_DATAPLANE_LOAD: 'the native data plane could not be loaded: {detail}',
  ERR_WORKERS: 'MILLRACE_WORKERS must be a whole number from 1 to 64, not {detail}',
  ERR_OPTION: 'bad option: {detail}',
  // The wire: what a peer's frame was refused for. Details hold lengths and names of fields, never their values.
  ERR_FRAME_LENGTH: 'bad frame length: {detail}',
  ERR_FRAME_TOO_LARGE: 'a frame is too large: {detail} bytes',
  ERR_FRAME_UTF8: 'a frame of {detail} bytes is not valid UTF-8',
  ERR_FRAME_JSON: 'a frame of {detail} bytes is not valid JSON',
  ERR_FRAME_DEPTH: 'a frame nests deeper than {detail} levels',
  ERR_FRAME_SHAPE: 'a frame is not a message: {detail}',
  ERR_FRAME_FIELD: 'a field of a message has the wrong type or is too long: {detail}',
  ERR_FRAME_UNSENDABLE: 'a message does not fit one TLS record: {detail} bytes',
  // Names and addresses that users and peers give.
  ERR_TARGET: 'not a target (port, host:port, [v6]:port, unix:/path or https://host:port): {detail}',
  ERR_PORT_RANGE: 'not a range of ports such as 20000-20100: {detail}',
  ERR_HOSTNAME: 'not a host name: {detail}',
} as const

/** Every code that millrace can give an error. */
export type ErrorCode = keyof typeof catalogue

/** Marks our errors across duplicate copies of the package (see {@link MillraceError}). */
const brand = Symbol.for('millrace.error')

/**
 * The class of every error that millrace throws or rejects with. `code` is one of the catalogue; `cause` keeps what
 * lay beneath. `instanceof` holds across duplicate copies of the package.
 */
export class MillraceError extends Error {
  readonly code: ErrorCode
  readonly [brand] = true

  constructor(code: ErrorCode, detail = '', options?: ErrorOptions) {
    super(
      catalogue[code].replace('{detail}', () => detail),
      options,
    )
    this.name = 'MillraceError'
    this.code = code
  }

  static override [Symbol.hasInstance](value: unknown): boolean {
    return typeof value === 'object' && value !== null && brand in value
  }
}

/** All codes, for the documentation check. */
export const errorCodes: readonly ErrorCode[] = Object.keys(catalogue) as ErrorCode[]

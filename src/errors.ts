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
  ERR_SOCKET_ENDED: 'the socket was ended already: nothing can be sent on it any more',
  ERR_SOCKET_TAKEOVER: 'the system gave no second descriptor for the socket',
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
  ERR_TLS_BUSY: 'too many TLS handshakes are under way at once',
  // The data plane itself.
  ERR_DATAPLANE_MODE: 'MILLRACE_DATAPLANE must be native, copy, splice or stream, not {detail}',
  ERR_DATAPLANE_TLS: 'MILLRACE_TLS must be native or stream, not {detail}',
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
  ERR_NETWORK: 'not an IP network such as 10.0.0.0/8 or fd00::/8: {detail}',
  // Ways through what lies in between: proxies towards the relay, and load balancers in front of it. No detail has a secret.
  ERR_OUTBOUND_PROXY_URL: 'not a proxy (http://[USER:PASSWORD@]HOST:PORT or socks5://…): {detail}',
  ERR_OUTBOUND_PROXY: 'the proxy {detail}',
  ERR_PROXY_PROTOCOL: 'a trusted source sent no valid PROXY protocol header: {detail}',
  // HTTP: why a visitor's request is refused; src/http/refusal.ts has the status of each. Details never quote the visitor.
  ERR_HTTP_SYNTAX: 'the request is not valid HTTP: {detail}',
  ERR_HTTP_FRAMING: 'the length of the body is not clear: {detail}',
  ERR_HTTP_HOST: 'the request does not name its host: {detail}',
  ERR_HTTP_LENGTH_TOO_LARGE: 'the body is too large',
  ERR_HTTP_TARGET_TOO_LONG: 'the request line is longer than {detail}',
  ERR_HTTP_HEAD_TOO_LARGE: 'the head of the request is larger than {detail}',
  ERR_HTTP_HEAD_TIMEOUT: 'the head of the request did not arrive in time',
  ERR_HTTP_NOT_IMPLEMENTED: 'not supported here: {detail}',
  ERR_HTTP_VERSION: 'only HTTP/1.1 and HTTP/1.0 are spoken here',
  // The relay: why an agent, a tunnel or a visitor is refused. Sentences go to the agent where the protocol has a field.
  ERR_AUTH_VERSION: 'this relay speaks version 2 of the protocol, not {detail}',
  ERR_AUTH_TOKEN: 'the relay does not accept this token: its log says why',
  ERR_TOKENS_MISSING:
    'no token is configured: add --token-sha256 (see `millrace token new`), or --open to let anybody in',
  // Tokens: the agent is told ERR_AUTH_TOKEN whatever is wrong with its token; the log says these.
  ERR_TOKEN_REVOKED: 'the token was taken out of the config',
  ERR_TOKEN_DISABLED: 'the token is disabled',
  ERR_TOKEN_EXPIRED: 'the token has expired',
  ERR_TOKEN_NETWORK: 'the token does not allow agents from there',
  ERR_TOKEN_PROTOCOL: 'the token does not allow {detail} tunnels',
  ERR_TOKEN_SESSIONS: 'sessions: {detail} agents with this token are connected',
  ERR_TOKEN_TUNNELS: 'the agents of this token may have {detail} tunnels at most',
  ERR_TOKEN_CONNECTIONS: 'connections: {detail} visitors of this token are connected',
  ERR_LOGIN_BACKOFF: 'limits.login_failures: too many failed logins from there; it has to wait for {detail} s',
  ERR_ENROLMENT: 'not an enrolment (millrace://TOKEN@HOST:PORT#sha256=HEX): {detail}',
  ERR_TUNNEL_PROTOCOL: 'no tunnel of that kind here: {detail}',
  ERR_TUNNEL_FRONT: 'this relay does not listen for {detail} visitors',
  ERR_TUNNEL_HOST: 'the token does not allow the name {detail}',
  ERR_TUNNEL_TAKEN: 'the tunnel {detail} is already registered',
  ERR_TUNNEL_KEPT: 'the tunnel {detail} is kept for the agent that had it, which may come back',
  ERR_DESCRIPTORS: '{detail} (ulimit -n, LimitNOFILE=)',
  ERR_TUNNEL_AWAY: 'the agent of {detail} is away',
  ERR_TUNNEL_PORT: 'port {detail}',
  ERR_TUNNEL_PORTS_USED: 'no port is free in the range {detail}',
  ERR_TUNNEL_LIMIT: 'a session may have {detail} tunnels at most',
  ERR_SESSION_LIMIT: 'limits.sessions: {detail} agents are connected',
  ERR_HANDSHAKE_LIMIT: 'limits.handshakes: {detail} connections have not sent their first message yet',
  ERR_ADDRESS_LIMIT: '{detail} connections of this address have not come through yet',
  ERR_ADDRESS_DENIED: 'the relay lets nobody come from there (allow, deny)',
  ERR_VISITOR_LIMIT: 'limits.pending_visitors: {detail} visitors have not come through yet',
  ERR_CLIENT_HELLO: 'a visitor of a TLS front does not speak TLS: {detail}',
  ERR_CLIENT_HELLO_TOO_LARGE: 'limits.client_hello_bytes: a ClientHello takes more than {detail} bytes',
  ERR_SERVER_NAME: 'neither a tunnel nor a certificate has the name that a visitor asks for',
  ERR_FIRST_MESSAGE: 'the first message is neither Auth nor RegProxy: {detail}',
  ERR_PROXY_REFUSED: 'a proxy connection belongs to nobody: {detail}',
  ERR_POOL_LIMIT: 'limits.pool: {detail} proxy connections are waiting for visitors',
  ERR_POOL_FULL: 'limits.waiters: {detail} visitors are waiting for a proxy connection',
  ERR_POOL_TIMEOUT: 'the agent opened no proxy connection within {detail} ms',
  ERR_POOL_CLOSED: 'the agent is gone',
  ERR_JOIN_LIMIT: 'limits.joins_per_tunnel: {detail} visitors are connected',
  ERR_RELAY_FULL: 'limits.joins: {detail} visitors are connected to all tunnels together',
  // Limits and lists, continued: the rates and counts of single addresses, and what an agent's own tunnels keep out.
  ERR_ADDRESS_SESSIONS: 'limits.sessions_per_address: {detail} agents of this address are connected',
  ERR_ADDRESS_JOINS: 'limits.joins_per_address: {detail} visitors of this address are connected',
  ERR_CONNECTION_RATE:
    'limits.failed_handshake_rate: more than {detail} connections a second of this address came to nothing',
  ERR_VISITOR_RATE: 'limits.visitor_rate: more than {detail} visitors a second come from this address',
  ERR_CONTROL_RATE: 'limits.control_message_rate: the agent sends more than {detail} messages a second',
  ERR_RELAY_TUNNELS: 'this relay has {detail} tunnels, and may have no more',
  ERR_TUNNEL_DENIED: 'the tunnel lets nobody come from there (its allow, deny)',
  ERR_HANDOVER: 'the sockets could not be handed over: {detail}',
  ERR_ACTIVATION: 'socket activation: {detail}',
  ERR_CONFIG: '{detail}',
  // The relay's control socket.
  ERR_CONTROL: 'control socket: {detail}',
  ERR_CONTROL_ABSENT:
    'no relay answers at {detail}: it is not running, or has another control_socket or state directory',
  ERR_CONTROL_TAKEN: 'a running relay has the control socket {detail}: give this one another control_socket',
  ERR_CERTIFICATE: 'the certificate cannot be used: {detail}',
  // The agent.
  ERR_AGENT_REFUSED: 'the relay refused: {detail}',
  ERR_AGENT_TRUST: "the relay's certificate is not trusted: {detail}",
  ERR_AGENT_PROTOCOL: 'the relay does not follow the protocol: {detail}',
  ERR_AGENT_STOPPED: 'the agent was stopped',
  ERR_AGENT_WAITING: 'limits.waiting: the relay asks for more than {detail} proxy connections at once',
  ERR_AGENT_VISITORS: 'limits.visitors: {detail} visitors are connected',
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

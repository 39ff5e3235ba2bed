/** What native/addon/addon.cc exports: the engine's calls, in numbers and bytes. Failures are negative errno. */
export interface Addon {
  attach(workers: number, doorbell: () => void): number
  drain(records: Uint8Array, arena: Uint8Array): number
  keepAlive(on: boolean): void
  listen(
    host: string | undefined,
    port: number,
    path: string | undefined,
    backlog: number,
    maxEndpoints: number,
    address: Uint8Array,
  ): number
  /** On a duplicate of a descriptor that listens already. */
  listenOn(fd: number, backlog: number, maxEndpoints: number, address: Uint8Array): number
  /** `leave`: another process goes on with the socket, so that what is queued is left to it. */
  unlisten(listener: number, leave: boolean): void
  /** A second descriptor of a listener. */
  duplicateListener(listener: number): number
  refused(listener: number): number
  dial(host: string | undefined, port: number, path: string | undefined, timeoutMs: number): number
  adopt(fd: number, addresses: Uint8Array): number
  wake(): void
  read(id: number, max: number, deadlineMs: number): void
  write(id: number, bytes: Uint8Array): void
  flush(id: number): void
  destroy(id: number, reset: boolean): void
  release(id: number): void
  lane(id: number, opens: boolean, head: Uint8Array | undefined): void
  /** Begins a visit outside of a join; `start` is of 1 to 16 376 bytes. */
  open(id: number, start: Uint8Array, bytes: Uint8Array | undefined): void
  leave(id: number, reset: boolean): void
  cells(memory: BigUint64Array): number
  bucket(bytesPerSecond: number, burst: number): Bucket
  join(
    fields: Float64Array,
    headA: Uint8Array | undefined,
    headB: Uint8Array | undefined,
    rateAToB: Bucket | undefined,
    rateBToA: Bucket | undefined,
    /** What the OPEN carries that begins the visit on side b. */
    open: Uint8Array | undefined,
  ): void
  joinTo(
    fields: Float64Array,
    headA: Uint8Array | undefined,
    rateAToB: Bucket | undefined,
    rateBToA: Bucket | undefined,
    host: string | undefined,
    port: number,
    path: string | undefined,
    timeoutMs: number,
  ): boolean
  abort(a: number): void
  finish(a: number, aToB: boolean, fin: boolean): void
  /** Why the engine can't speak TLS in this process; '' when it can. */
  tlsProblem(): string
  ticketKeys(): TicketKeysHandle
  /** Each a name of 16 bytes and a secret of 32; the first seals, all of them open. */
  setTicketKeys(keys: TicketKeysHandle, bytes: Uint8Array): void
  /** `protocols`: each behind a byte with its length. A sentence says why there is no context. */
  tlsServer(
    certificate: string,
    key: string,
    protocols: Uint8Array,
    only13: boolean,
    front: string,
    keys: TicketKeysHandle,
  ): TlsContextHandle | string
  /** `trust`: 0 `roots`, 1 `pins` (32 bytes each), 2 nobody is asked for anything. */
  tlsClient(
    trust: number,
    roots: string,
    pins: Uint8Array,
    protocols: Uint8Array,
    only13: boolean,
  ): TlsContextHandle | string
  secure(
    id: number,
    context: TlsContextHandle,
    name: string,
    address: string,
    head: Uint8Array | undefined,
    resetWhenTruncated: boolean,
    timeoutMs: number,
  ): void
  /** Workers, 1 where splice works, words from one row of statistics to the next. */
  shape(out: Float64Array): void
  statistics(rows: BigUint64Array): void
  /** Makes a unix socket (mode 0600) to which other processes send descriptors; returns its own. */
  openDoor(path: string): number
  /** One message of at most 253 descriptors to a door, whose process must be of our user or root's. */
  sendDescriptors(path: string, fds: Int32Array, bytes: Uint8Array): number
  /** The length of the next message at a door; `fds` takes how many descriptors came, and then them. */
  receiveDescriptors(door: number, fds: Int32Array, bytes: Uint8Array): number
  /** The user id of the process at the other end of a unix socket. */
  peerUser(fd: number): number
  /** One datagram to a unix socket: a path, or `@` and an abstract name. */
  notify(address: string, bytes: Uint8Array): number
}

/** A bandwidth limit inside the engine. */
export interface Bucket {
  readonly bucket: never
}

/** The keys that session tickets are sealed with. */
export interface TicketKeysHandle {
  readonly ticketKeys: never
}

/** What TLS connections of one kind have in common. */
export interface TlsContextHandle {
  readonly tlsContext: never
}

/** Every function of {@link Addon}. A binary that lacks one was built from other sources. */
const functions: Readonly<Record<keyof Addon, true>> = {
  attach: true,
  drain: true,
  keepAlive: true,
  listen: true,
  listenOn: true,
  unlisten: true,
  duplicateListener: true,
  refused: true,
  dial: true,
  adopt: true,
  wake: true,
  read: true,
  write: true,
  flush: true,
  destroy: true,
  release: true,
  lane: true,
  open: true,
  leave: true,
  cells: true,
  bucket: true,
  join: true,
  joinTo: true,
  abort: true,
  finish: true,
  shape: true,
  statistics: true,
  tlsProblem: true,
  ticketKeys: true,
  setTicketKeys: true,
  tlsServer: true,
  tlsClient: true,
  secure: true,
  openDoor: true,
  sendDescriptors: true,
  receiveDescriptors: true,
  peerUser: true,
  notify: true,
}

/** What a `.node` file must export to be the addon. */
export function isAddon(value: unknown): value is Addon {
  if (typeof value !== 'object' || value === null) return false
  return Object.keys(functions).every((name) => typeof Reflect.get(value, name) === 'function')
}

import { MillraceError } from '../../errors.ts'
import { foreignSocket, Inherited } from '../inherited.ts'
import { describe } from '../stream/address.ts'
import type { Address, Endpoint, InheritedSocket, ListenAddress, Listener, ListenOptions } from '../types.ts'
import { type Core, errnoName, type ListenerEvents } from './core.ts'
import { NativeEndpoint } from './endpoint.ts'
import { type EventReader, packedAddress } from './events.ts'
import { resolveHost } from './resolve.ts'

/** Bytes of PackedAddress in native/engine/address.h. */
const packedBytes = 32

/** A listener in the engine. */
export class NativeListener implements Listener, ListenerEvents {
  readonly address: Address
  readonly #core: Core
  readonly #id: number
  /** Its endpoints have local addresses of their own. */
  readonly #wildcard: boolean
  readonly #onEndpoints: (batch: readonly Endpoint[]) => void
  #batch: NativeEndpoint[] = []
  #refused = 0
  #closed: Promise<void> | undefined
  #onClosed: () => void = () => {}

  constructor(core: Core, id: number, address: Address, onEndpoints: (batch: readonly Endpoint[]) => void) {
    this.#core = core
    this.#id = id
    this.address = address
    this.#wildcard = address.family !== 'unix' && (address.host === '0.0.0.0' || address.host === '::')
    this.#onEndpoints = onEndpoints
    core.addListener(id, this)
  }

  get refused(): number {
    return this.#closed === undefined ? this.#core.addon.refused(this.#id) : this.#refused
  }

  close(): Promise<void> {
    return this.#end(false)
  }

  leave(): Promise<void> {
    return this.#end(true)
  }

  /** A second descriptor of the socket, the caller's to close; negative errno. */
  duplicate(): number {
    return this.#core.addon.duplicateListener(this.#id)
  }

  #end(leave: boolean): Promise<void> {
    this.#refused = this.refused
    this.#closed ??= new Promise((resolve) => {
      this.#onClosed = resolve
      this.#core.addon.unlisten(this.#id, leave)
    })
    return this.#closed
  }

  onAccepted(id: number, event: EventReader): void {
    this.#batch.push(new NativeEndpoint(this.#core, id, this.#wildcard ? event.local : this.address, event.remote))
  }

  deliver(): void {
    const batch = this.#batch
    this.#batch = []
    if (batch.length > 0) this.#onEndpoints(batch)
  }

  onClosed(refused: number): void {
    this.#refused = refused
    this.#onClosed()
  }
}

/** Listens. Rejects with ERR_LISTEN. */
export async function nativeListen(
  core: Core,
  address: ListenAddress | InheritedSocket,
  options: ListenOptions,
  onEndpoints: (batch: readonly Endpoint[]) => void,
): Promise<NativeListener> {
  if (address instanceof Inherited) return listenOnInherited(core, address, options, onEndpoints)
  if ('address' in address) throw foreignSocket()
  const fail = (cause: unknown): MillraceError => new MillraceError('ERR_LISTEN', describe(address), { cause })
  const { backlog = 4096, maxEndpoints = 0 } = options
  const bound = new Uint8Array(packedBytes)
  let id: number
  if ('path' in address) {
    id = core.addon.listen(undefined, 0, address.path, backlog, maxEndpoints, bound)
  } else {
    if (!(Number.isInteger(address.port) && address.port >= 0 && address.port <= 65_535)) {
      throw fail(new RangeError(`port ${address.port} is not from 0 to 65535`))
    }
    const [host] = await resolveHost(address.host).catch((cause: unknown) => {
      throw fail(cause)
    })
    id = core.addon.listen(host, address.port, undefined, backlog, maxEndpoints, bound)
  }
  if (id < 0) throw fail(systemError('listen', -id))
  const real: Address =
    'path' in address
      ? { family: 'unix', path: address.path }
      : packedAddress(new DataView(bound.buffer), 0).toAddress()
  return new NativeListener(core, id, real, onEndpoints)
}

function listenOnInherited(
  core: Core,
  socket: Inherited,
  { backlog = 4096, maxEndpoints = 0 }: ListenOptions,
  onEndpoints: (batch: readonly Endpoint[]) => void,
): NativeListener {
  const bound = new Uint8Array(packedBytes)
  const id = core.addon.listenOn(socket.fd, backlog, maxEndpoints, bound)
  if (id < 0) {
    throw new MillraceError('ERR_LISTEN', 'on an inherited socket', { cause: systemError('listen', -id) })
  }
  socket.close()
  const real = packedAddress(new DataView(bound.buffer), 0).toAddress()
  return new NativeListener(core, id, real.family === 'unix' ? socket.address : real, onEndpoints)
}

/** An error as Node words those of the system. */
export function systemError(call: string, errno: number): Error {
  const code = errnoName(errno)
  return Object.assign(new Error(`${call} ${code}`), { code, errno: -errno, syscall: call })
}

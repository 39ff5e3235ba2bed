import { closeSync, rmSync } from 'node:fs'
import { MillraceError } from '../errors.ts'
import { Inherited } from './inherited.ts'
import { errnoName } from './native/core.ts'
import { NativeListener, systemError } from './native/listener.ts'
import { loadAddon } from './native/load.ts'
import { StreamListener } from './stream/listener.ts'
import type { Address, InheritedSocket, Listener, Parcel } from './types.ts'

/** Of one message: the kernel takes 253 descriptors at most, and a socket's buffer holds some 200 KiB. */
const most = { descriptors: 250, bytes: 64 * 1024 }
/** A note alone may be larger than the limit above. */
const messageBytes = 128 * 1024

/** Why this process can hand no listeners over; undefined when it can: only the addon can send descriptors. */
export function handoverProblem(): string | undefined {
  return loadAddon().state === 'loaded'
    ? undefined
    : 'the native addon is not there, and Node alone cannot pass sockets on'
}

/** Where another process of this user leaves parcels. */
export class HandoverDoor {
  readonly #path: string
  readonly #fd: number

  private constructor(path: string, fd: number) {
    this.#path = path
    this.#fd = fd
  }

  /** Opens one in place of what is left at the path. Throws ERR_HANDOVER. */
  static open(path: string): HandoverDoor {
    rmSync(path, { force: true })
    return new HandoverDoor(path, check('bind', addon().openDoor(path)))
  }

  /** All parcels that have been left so far. Throws ERR_HANDOVER; nothing is kept then. */
  take(): readonly Parcel<InheritedSocket>[] {
    const parcels: Parcel<Inherited>[] = []
    const descriptors = new Int32Array(new ArrayBuffer(1024))
    const bytes = new Uint8Array(messageBytes)
    try {
      for (;;) {
        const length = addon().receiveDescriptors(this.#fd, descriptors, bytes)
        if (errnoName(Math.max(0, -length)) === 'EAGAIN') return parcels
        check('recvmsg', length)
        parcels.push(...unpack(bytes.subarray(0, length), descriptors.subarray(1, 1 + (descriptors[0] ?? 0))))
      }
    } catch (error) {
      for (const { socket } of parcels) socket?.close()
      throw error
    }
  }

  /** Closes it, and removes its file. */
  close(): void {
    closeSync(this.#fd)
    rmSync(this.#path, { force: true })
  }
}

/**
 * Leaves parcels at another process's door; the listeners go on here as well until they {@link Listener.leave}. Throws
 * ERR_HANDOVER: there is no door, or its process is neither this user's nor root's.
 */
export function sendParcels(path: string, parcels: readonly Parcel<Listener>[]): void {
  let batch: { text: string; fd: number }[] = []
  let size = 0
  const own: number[] = []
  const flush = (): void => {
    if (batch.length === 0) return
    const fds = Int32Array.from(batch.map(({ fd }) => fd).filter((fd) => fd >= 0))
    check('sendmsg', addon().sendDescriptors(path, fds, Buffer.from(`[${batch.map(({ text }) => text).join(',')}]`)))
    batch = []
    size = 0
  }
  try {
    for (const { note, socket } of parcels) {
      const text = JSON.stringify({ note, address: socket?.address })
      if (batch.length >= most.descriptors || size + text.length > most.bytes) flush()
      const fd = socket === undefined ? -1 : descriptorOf(socket, own)
      batch.push({ text, fd })
      size += text.length
    }
    flush()
  } finally {
    for (const fd of own) closeSync(fd)
  }
}

/** What must be closed once it is sent goes to `own`. */
function descriptorOf(listener: Listener, own: number[]): number {
  if (listener instanceof StreamListener && listener.fd >= 0) return listener.fd
  if (!(listener instanceof NativeListener)) throw new MillraceError('ERR_HANDOVER', 'a listener has no descriptor')
  const fd = check('dup', listener.duplicate())
  own.push(fd)
  return fd
}

function unpack(bytes: Uint8Array, descriptors: Int32Array): readonly Parcel<Inherited>[] {
  const left = [...descriptors]
  const parcels: Parcel<Inherited>[] = []
  try {
    const items = JSON.parse(Buffer.from(bytes).toString('utf8')) as readonly { note: unknown; address?: Address }[]
    for (const { note, address } of items) {
      const fd = address === undefined ? undefined : left.shift()
      parcels.push(address === undefined || fd === undefined ? { note } : { note, socket: new Inherited(fd, address) })
    }
    return parcels
  } catch (cause) {
    for (const { socket } of parcels) socket?.close()
    throw new MillraceError('ERR_HANDOVER', 'what was sent is not understood', { cause })
  } finally {
    for (const fd of left) closeSync(fd)
  }
}

function addon(): Extract<ReturnType<typeof loadAddon>, { state: 'loaded' }>['addon'] {
  const loaded = loadAddon()
  if (loaded.state === 'loaded') return loaded.addon
  throw new MillraceError('ERR_HANDOVER', handoverProblem() ?? '')
}

function check(call: string, result: number): number {
  if (result >= 0) return result
  const cause = systemError(call, -result)
  throw new MillraceError('ERR_HANDOVER', cause.message, { cause })
}

import type { Socket } from 'node:net'
import { loadAddon } from './native/load.ts'

/**
 * The user id of the process that connected to a unix socket of ours (SO_PEERCRED, unix(7)); undefined when that can't be
 * found out: no addon, or the socket is closed.
 */
export function peerUser(socket: Socket): number | undefined {
  const loaded = loadAddon()
  const handle: unknown = Reflect.get(socket, '_handle')
  const fd: unknown = typeof handle === 'object' && handle !== null ? Reflect.get(handle, 'fd') : undefined
  if (loaded.state !== 'loaded' || typeof fd !== 'number' || fd < 0) return undefined
  const user = loaded.addon.peerUser(fd)
  return user < 0 ? undefined : user
}

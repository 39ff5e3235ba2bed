import { fstatSync } from 'node:fs'
import { MillraceError } from '../errors.ts'
import { Inherited } from './inherited.ts'
import type { InheritedSocket } from './types.ts'

/** The first descriptor that a service manager hands over, sd_listen_fds(3). */
const firstDescriptor = 3

/**
 * The listening sockets that a service manager has opened for this process, by the names in LISTEN_FDNAMES
 * (sd_listen_fds_with_names(3)): `names` in their order where there are none. The variables are taken out of `env`, so
 * that no child believes them. Throws ERR_ACTIVATION for a socket of another name, or two of one.
 */
export function activatedSockets<Name extends string>(
  names: readonly Name[],
  env: NodeJS.ProcessEnv = process.env,
  pid = process.pid,
): ReadonlyMap<Name, InheritedSocket> {
  const { LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES } = env
  for (const name of ['LISTEN_PID', 'LISTEN_FDS', 'LISTEN_FDNAMES']) delete env[name]
  const count = LISTEN_PID === `${pid}` ? Number(LISTEN_FDS ?? 0) : 0
  const given = LISTEN_FDNAMES === undefined || LISTEN_FDNAMES === '' ? names : LISTEN_FDNAMES.split(':')
  const sockets = new Map<Name, InheritedSocket>()
  for (let i = 0; i < count; i += 1) {
    const text = given[i] ?? ''
    const name = names.find((one) => one === text)
    const wanted = `FileDescriptorName= must be one of ${names.join(', ')}`
    if (name === undefined)
      throw new MillraceError('ERR_ACTIVATION', `a socket is called ${JSON.stringify(text)}: ${wanted}`)
    if (sockets.has(name)) throw new MillraceError('ERR_ACTIVATION', `there are two sockets called ${name}`)
    const fd = firstDescriptor + i
    if (!isSocket(fd)) throw new MillraceError('ERR_ACTIVATION', `descriptor ${fd} (${name}) is no socket`)
    sockets.set(name, new Inherited(fd, { family: 'unix', path: '' }))
  }
  return sockets
}

function isSocket(fd: number): boolean {
  try {
    return fstatSync(fd).isSocket()
  } catch {
    return false
  }
}

import { isIP } from 'node:net'
import { anyHost } from '../config/relay-settings.ts'
import type { InheritedSocket, Listener, Parcel } from '../dataplane/types.ts'
import { MillraceError } from '../errors.ts'
import type { HostPort } from '../net/address.ts'

/** What the relay listens for. */
export type RelayRole = 'tunnel' | 'http' | 'https'

/** Of the form of what follows. Another one is refused. */
const version = 1

/** One thing that a relay gives to its successor; roles and the ports of TCP tunnels come with their socket. */
type Bequest =
  | { readonly kind: 'relay'; readonly version: number; readonly pid: number }
  | { readonly kind: 'role'; readonly role: RelayRole }
  | { readonly kind: 'port' }
  | { readonly kind: 'memory'; readonly item: unknown }

/** What a relay has to give. */
export interface Estate {
  readonly roles: ReadonlyMap<RelayRole, Listener>
  /** Of TCP tunnels. */
  readonly ports: readonly Listener[]
  /** `Affinity.items`. */
  readonly memory: readonly unknown[]
}

/** What a relay begins with that was another's. */
export interface Inheritance {
  readonly roles: ReadonlyMap<RelayRole, InheritedSocket>
  readonly ports: readonly InheritedSocket[]
  readonly memory: readonly unknown[]
  /** Until {@link arrived} has resolved, another relay has the sockets as well. */
  readonly shared: boolean
  /** Called once visitors are taken here, before agents are: the earlier relay must have left when it resolves. */
  readonly arrived: () => Promise<void>
}

/** What is sent to a successor. */
export function bequests({ roles, ports, memory }: Estate): readonly Parcel<Listener>[] {
  const parcel = (note: Bequest, socket?: Listener): Parcel<Listener> =>
    socket === undefined ? { note } : { note, socket }
  return [
    parcel({ kind: 'relay', version, pid: process.pid }),
    ...[...roles].map(([role, listener]) => parcel({ kind: 'role', role }, listener)),
    ...ports.map((listener) => parcel({ kind: 'port' }, listener)),
    ...memory.map((item) => parcel({ kind: 'memory', item })),
  ]
}

/** What was sent. Throws ERR_HANDOVER, with all sockets closed, when it is of another version. */
export function readInheritance(
  parcels: readonly Parcel<InheritedSocket>[],
  arrived: () => Promise<void>,
): Inheritance & { readonly pid: number } {
  const roles = new Map<RelayRole, InheritedSocket>()
  const ports: InheritedSocket[] = []
  const memory: unknown[] = []
  // Written by `bequests` of the same version: the first note says so.
  const [first, ...others] = parcels.map(({ note, socket }) => ({ note: note as Bequest, socket }))
  if (first?.note.kind !== 'relay' || first.note.version !== version) {
    for (const { socket } of parcels) socket?.close()
    throw new MillraceError('ERR_HANDOVER', 'the running relay is of another version: restart it')
  }
  for (const { note, socket } of others) {
    if (note.kind === 'memory') memory.push(note.item)
    else if (note.kind === 'role' && socket !== undefined) roles.set(note.role, socket)
    else if (note.kind === 'port' && socket !== undefined) ports.push(socket)
    else socket?.close()
  }
  return { roles, ports, memory, shared: true, arrived, pid: first.note.pid }
}

/** What a service manager's sockets amount to; undefined without any. */
export function activation(roles: ReadonlyMap<RelayRole, InheritedSocket>): Inheritance | undefined {
  return roles.size === 0
    ? undefined
    : { roles, ports: [], memory: [], shared: false, arrived: () => Promise.resolve() }
}

/**
 * The socket that came for a role; undefined (and closed) when the settings say another address by now. One for all
 * addresses and one for a single one can't have the same port at once: such a socket is kept, see {@link isElsewhere}.
 */
export function inheritedFor(
  inheritance: Inheritance | undefined,
  role: RelayRole,
  wanted: HostPort,
): InheritedSocket | undefined {
  const socket = inheritance?.roles.get(role)
  if (socket === undefined || wanted.port === 0 || socket.address.family === 'unix') return socket
  const { host, port } = socket.address
  const bothSingle = isIP(wanted.host) !== 0 && !isAny(wanted.host) && !isAny(host)
  if (port === wanted.port && !(bothSingle && host !== wanted.host)) return socket
  socket.close()
  return undefined
}

/** Whether a socket that was kept listens on one address where the settings want all, or the other way round. */
export function isElsewhere({ address }: InheritedSocket, wanted: HostPort): boolean {
  return address.family !== 'unix' && isIP(wanted.host) !== 0 && isAny(address.host) !== isAny(wanted.host)
}

function isAny(host: string): boolean {
  return host === anyHost || host === '0.0.0.0'
}

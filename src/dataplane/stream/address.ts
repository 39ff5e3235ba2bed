import type { Socket } from 'node:net'
import type { Address } from '../types.ts'

const mapped = '::ffff:'

/** An address in the interface's words; IPv4-mapped IPv6 addresses become IPv4. */
export function makeAddress(host: string, port: number): Address {
  if (host.startsWith(mapped) && host.includes('.')) return { family: 'ipv4', host: host.slice(mapped.length), port }
  return { family: host.includes(':') ? 'ipv6' : 'ipv4', host, port }
}

/** Our address of a connection. Host '' and port 0 for an IP socket that is gone already. */
export function localAddress(socket: Socket, unix: boolean): Address {
  return unix ? { family: 'unix', path: '' } : makeAddress(socket.localAddress ?? '', socket.localPort ?? 0)
}

/** The peer's address. Host '' and port 0 for an IP socket that is gone already. */
export function remoteAddress(socket: Socket, unix: boolean): Address {
  return unix ? { family: 'unix', path: '' } : makeAddress(socket.remoteAddress ?? '', socket.remotePort ?? 0)
}

/** True for a unix socket: only those have a pipe handle. */
export function isUnix(socket: Socket): boolean {
  const handle: unknown = Reflect.get(socket, '_handle')
  if (typeof handle !== 'object' || handle === null) return false
  return handle.constructor.name === 'Pipe'
}

/** For error messages: `host:port`, `[v6]:port` or the path. */
export function describe(target: { readonly host: string; readonly port: number } | { readonly path: string }): string {
  if ('path' in target) return `unix:${target.path}`
  return target.host.includes(':') ? `[${target.host}]:${target.port}` : `${target.host}:${target.port}`
}

import { anyHost } from '../config/relay-settings.ts'
import type { DataPlane, Endpoint, Listener } from '../dataplane/types.ts'
import { MillraceError } from '../errors.ts'
import { formatHostPort, type HostPort } from '../net/address.ts'

/** The system's name for why a listener could not be opened (`EADDRINUSE`), '' for anything else. */
export function listenErrno(error: unknown): string {
  if (!(error instanceof MillraceError) || error.code !== 'ERR_LISTEN') return ''
  const cause = error.cause
  return typeof cause === 'object' && cause !== null && 'code' in cause ? String(cause.code) : ''
}

/** Listens, on IPv4 alone where `::` is asked for on a host without IPv6. Rejects with ERR_LISTEN. */
export async function listenOn(
  dataPlane: DataPlane,
  address: HostPort,
  onEndpoints: (batch: readonly Endpoint[]) => void,
): Promise<Listener> {
  try {
    return await dataPlane.listen(address, {}, onEndpoints)
  } catch (error) {
    const errno = listenErrno(error)
    const noIpv6 = errno === 'EAFNOSUPPORT' || errno === 'EADDRNOTAVAIL'
    if (address.host !== anyHost || !noIpv6) throw error
    return await dataPlane.listen({ ...address, host: '0.0.0.0' }, {}, onEndpoints)
  }
}

const advice: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another program has it: stop that, or choose another address',
  EACCES: 'this user may not have it: choose a port above 1023, or allow it (CAP_NET_BIND_SERVICE)',
  EADDRNOTAVAIL: 'no interface of this machine has it: choose an address of this machine',
  ENOTFOUND: 'the name has no address: choose an address of this machine',
}

/** The error for an operator whose address can't be bound: names it and says what to do. Others pass unchanged. */
export function explainListenError(error: unknown, address: HostPort, flag: string): unknown {
  const errno = listenErrno(error)
  if (errno === '') return error
  const why = advice[errno] ?? `${errno}: choose another address`
  return new MillraceError('ERR_LISTEN', `${formatHostPort(address.host, address.port)}: ${why} with ${flag}`, {
    cause: error,
  })
}

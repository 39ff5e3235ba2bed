import type { Socket } from 'node:net'
import { connect, TLSSocket } from 'node:tls'
import type { DataPlane, Endpoint, TlsOptions } from '../../../src/dataplane/types.ts'
import { type Authority, makeAuthority } from './certificates.ts'
import { within } from './wait.ts'

/** A TLS session of Node's at the far end of an endpoint, `near` saying what the endpoint is to be. */
export async function nodeSession(
  socket: Socket,
  near: 'server' | 'client',
  authority: Authority,
  servername = 'localhost',
): Promise<TLSSocket> {
  const session =
    near === 'server'
      ? connect({ socket, ca: authority.ca, servername })
      : new TLSSocket(socket, { isServer: true, ...authority.localhost })
  session.on('error', () => undefined)
  await within(
    new Promise<void>((resolve, reject) => {
      session.once(near === 'server' ? 'secureConnect' : 'secure', resolve)
      session.once('error', reject)
      session.once('close', () => {
        reject(new Error('the session closed before it began'))
      })
    }),
    'the handshake of the test peer',
  )
  // Node tells of it from within OpenSSL, where a session can't be ended.
  await new Promise((resolve) => setImmediate(resolve))
  return session
}

/** What `secure()` needs for a role. */
export function tlsOptions(role: 'server' | 'client', authority: Authority): TlsOptions {
  return role === 'server'
    ? { role, ...authority.localhost }
    : { role, serverName: 'localhost', trust: { kind: 'ca', pem: authority.ca } }
}

let shared: Promise<Authority> | undefined

/** TLS between an endpoint, which plays `role`, and the socket at its far end; with an authority of all tests. */
export async function secure(
  plane: DataPlane,
  plain: Endpoint,
  socket: Socket,
  role: 'server' | 'client',
): Promise<{ readonly endpoint: Endpoint; readonly session: TLSSocket }> {
  shared ??= makeAuthority('millrace contract pairings')
  const authority = await shared
  const [endpoint, session] = await Promise.all([
    within(plane.secure(plain, tlsOptions(role, authority)), 'secure()'),
    nodeSession(socket, role, authority),
  ])
  return { endpoint, session }
}

/** TLS between two endpoints that are connected to each other: `one` as the client. */
export async function secureBoth(
  plane: DataPlane,
  one: Endpoint,
  far: DataPlane,
  other: Endpoint,
): Promise<readonly [Endpoint, Endpoint]> {
  shared ??= makeAuthority('millrace contract pairings')
  const authority = await shared
  return await within(
    Promise.all([
      plane.secure(one, tlsOptions('client', authority)),
      far.secure(other, tlsOptions('server', authority)),
    ]),
    'secure() at both ends',
  )
}

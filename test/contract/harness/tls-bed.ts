import type { Socket } from 'node:net'
import type { TestContext } from 'node:test'
import { connect, TLSSocket } from 'node:tls'
import type { DataPlane, TlsOptions } from '../../../src/dataplane/types.ts'
import { born, type Connected, peerOf, type Side } from './bed.ts'
import type { Authority } from './certificates.ts'
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

/** A connected pair with TLS between endpoint and peer; the endpoint plays `role`. */
export async function connectedByTls(
  plane: DataPlane,
  side: Side,
  who: 'a' | 'b',
  role: 'server' | 'client',
  authority: Authority,
  t: TestContext,
): Promise<Connected> {
  const { endpoint: plain, socket } = await born(plane, side)
  t.after(() => {
    socket.destroy()
  })
  const options = tlsOptions(role, authority)
  const [endpoint, session] = await Promise.all([
    within(plane.secure(plain, options), 'secure()'),
    nodeSession(socket, role, authority),
  ])
  const peer = peerOf(session, who, socket)
  session.resume()
  return { peer, endpoint }
}

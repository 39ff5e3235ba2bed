/** A join in full flow, both ways: a visitor through a listener, dialed on to a service of Node's. */
import { once } from 'node:events'
import { flood, loadPlane, startListener, startService, until, visit } from './parts.mjs'

/** Resolves once a MiB has passed each way. */
export async function startTraffic() {
  const plane = await loadPlane()
  const [{ listener, port, next }, service] = await Promise.all([startListener(plane), startService()])
  const [visitor, front, back] = await Promise.all([
    visit(port),
    next(),
    plane.dial({ host: '127.0.0.1', port: service.port }),
  ])
  const join = plane.join(front, back)
  const local = await service.next()
  flood(visitor)
  flood(local)
  await until(
    () => join.bytes.aToB > 1n << 20n && join.bytes.bToA > 1n << 20n,
    () => `bytes, ${join.bytes.aToB} and ${join.bytes.bToA} have passed`,
  )
  /** Ends all of it. */
  const stop = async () => {
    join.destroy()
    await join.done
    await listener.close()
    for (const socket of [visitor, local]) socket.destroy()
    service.server.close()
    await once(service.server, 'close')
  }
  return { plane, join, port, visitor, local, stop }
}

/**
 * The same through a tunnel of TLS, both ends of which are joins of this process.
 * @param {{ cert: string, key: string }} certificate for `exit.test`
 */
export async function startTlsTraffic(certificate) {
  const plane = await loadPlane()
  const [visitors, relay, service] = await Promise.all([startListener(plane), startListener(plane), startService()])
  const [visitor, front, dialed, accepted, back] = await Promise.all([
    visit(visitors.port),
    visitors.next(),
    plane.dial({ host: '127.0.0.1', port: relay.port }),
    relay.next(),
    plane.dial({ host: '127.0.0.1', port: service.port }),
  ])
  const trust = /** @type {const} */ ({ kind: 'ca', pem: certificate.cert })
  const [near, far] = await Promise.all([
    plane.secure(dialed, { role: 'client', serverName: 'exit.test', trust }),
    plane.secure(accepted, { role: 'server', ...certificate }),
  ])
  const join = plane.join(front, near)
  plane.join(far, back)
  const local = await service.next()
  flood(visitor)
  flood(local)
  await until(
    () => join.bytes.aToB > 1n << 20n && join.bytes.bToA > 1n << 20n,
    () => `bytes over TLS, ${join.bytes.aToB} and ${join.bytes.bToA} have passed`,
  )
  if (join.path.aToB !== 'tls' || plane.stats().tls.by !== 'native') throw new Error('the engine speaks no TLS here')
  return { join, visitor }
}

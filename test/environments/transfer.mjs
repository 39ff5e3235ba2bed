/** One join that carries a known number of bytes each way, checked. */
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { startListener, startService, visit } from './parts.mjs'

/** @typedef {import('node:net').Socket} Socket */

const block = randomBytes(1 << 20)

/**
 * Sends so many MiB, and FIN.
 * @param {Socket} socket
 * @param {number} mebibytes
 */
function send(socket, mebibytes) {
  const hash = createHash('sha256')
  for (let count = 0; count < mebibytes; count++) {
    hash.update(block)
    socket.write(block)
  }
  socket.end()
  return hash.digest('hex')
}

/** @param {Socket} socket */
async function receive(socket) {
  const hash = createHash('sha256')
  // Not `for await`, which destroys a socket at its end.
  socket.on('data', (chunk) => hash.update(chunk))
  await new Promise((resolve) => socket.once('end', resolve))
  return hash.digest('hex')
}

/**
 * Carries so many MiB each way, in a visitor's connection on to a service of Node's; returns the join's result.
 * @param {import('../../src/index.ts').DataPlane} plane
 * @param {number} mebibytes
 */
export async function transfer(plane, mebibytes) {
  const [{ listener, port, next }, service] = await Promise.all([startListener(plane), startService()])
  const [visitor, front, back] = await Promise.all([
    visit(port),
    next(),
    plane.dial({ host: '127.0.0.1', port: service.port }),
  ])
  const { done } = plane.join(front, back)
  const local = await service.next()
  const received = Promise.all([receive(local), receive(visitor)])
  const sent = [send(visitor, mebibytes), send(local, mebibytes)]
  assert.deepEqual(await received, sent)
  const result = await done
  const bytes = BigInt(mebibytes) << 20n
  assert.deepEqual([result.aToB, result.bToA, result.reason], [bytes, bytes, 'eof'])
  await listener.close()
  service.server.close()
  return result
}

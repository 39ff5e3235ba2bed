/** The private service of a soak, and the bytes that everybody sends. */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:net'

/** What is sent is this, over and over: whoever receives knows what must be at each place. */
const block = randomBytes(64 << 10)

/**
 * So many bytes, as they are at that place of a stream.
 * @param {number} from
 * @param {number} length
 */
export function bytesAt(from, length) {
  const bytes = Buffer.allocUnsafe(length)
  for (let done = 0; done < length; ) {
    const start = (from + done) % block.length
    done += block.copy(bytes, done, start, Math.min(block.length, start + length - done))
  }
  return bytes
}

/**
 * Throws unless these are the bytes at that place.
 * @param {Buffer} bytes
 * @param {number} from
 */
export function checkBytes(bytes, from) {
  if (!bytes.equals(bytesAt(from, bytes.length))) throw new Error(`wrong bytes from ${from} on`)
}

/** What a visitor asks for with its first byte. */
export const wish = { echo: 'e', answerAfterEnd: 'a', reset: 'r' }

/** The service resets a connection that asks for it once it has received so much. */
export const resetAfterBytes = 64 << 10

/**
 * Listens on a free port of loopback. Sends back what comes, at once or only after FIN, or resets.
 */
export async function startService() {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {})
    let received = 0
    socket.once('data', (first) => {
      const asked = String.fromCharCode(first[0] ?? 0)
      socket.unshift(first.subarray(1))
      if (asked === wish.echo) socket.pipe(socket)
      else {
        socket.on('data', (chunk) => {
          received += chunk.length
          if (asked === wish.reset && received >= resetAfterBytes) socket.resetAndDestroy()
        })
        socket.on('end', () => socket.end(bytesAt(0, received)))
      }
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('expected an IP address')
  return { server, port: address.port }
}

/**
 * The private service that `npm start` exposes: an HTTP page and a TCP echo on free loopback ports. Prints
 * `service.listening {http, tcp}`, and `service.echoed {bytes, sha256}` after each echo.
 */
import { createHash } from 'node:crypto'
import { createServer as createHttpServer } from 'node:http'
import { createServer } from 'node:net'

/** @param {Record<string, unknown>} entry */
const report = (entry) => process.stdout.write(`${JSON.stringify(entry)}\n`)

const web = createHttpServer((request, response) => {
  const headers = Object.entries(request.headers).map(([name, value]) => `  ${name}: ${String(value)}\n`)
  response.writeHead(200, { 'content-type': 'text/plain; charset=utf-8' })
  response.end(`Hello from a service behind millrace.\n\n${request.method} ${request.url}\n${headers.join('')}`)
})

const echo = createServer({ allowHalfOpen: true }, (socket) => {
  const hash = createHash('sha256')
  let bytes = 0
  socket.on('data', (chunk) => {
    bytes += chunk.length
    hash.update(chunk)
  })
  socket.on('end', () => report({ event: 'service.echoed', bytes, sha256: hash.digest('hex') }))
  socket.on('error', (error) => report({ event: 'service.error', error: error.message }))
  // pipe() ends the socket when the visitor has ended: half-close goes both ways.
  socket.pipe(socket)
})

/**
 * @param {import('node:net').Server} server
 * @returns {Promise<number>} the port
 */
const listen = (server) =>
  new Promise((resolve, reject) => {
    server.on('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      resolve(typeof address === 'object' && address !== null ? address.port : 0)
    })
  })

const [http, tcp] = await Promise.all([listen(web), listen(echo)])
report({ event: 'service.listening', http, tcp })

/**
 * The proxy of `proxy.ts` in short, on the built library (`npm run build`), for what starting it takes. argv: contender,
 * address to listen at, service's address, service's port. Prints `{port}`.
 */
import { connect, createServer } from 'node:net'

const [contender = '', host = '127.0.0.1', serviceHost = '127.0.0.1', servicePort = '0'] = process.argv.slice(2)
const service = { host: serviceHost, port: Number(servicePort) }

/** @returns {Promise<number>} */
async function startPipe() {
  const server = createServer({ pauseOnConnect: true, allowHalfOpen: true, noDelay: true }, (visitor) => {
    const local = connect({ ...service, allowHalfOpen: true, noDelay: true }, () => {
      visitor.pipe(local)
      local.pipe(visitor)
    })
    visitor.on('error', () => local.destroy())
    local.on('error', () => visitor.destroy())
  })
  await new Promise((resolve) => server.listen({ host, port: 0 }, () => resolve(undefined)))
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.port : 0
}

/** @returns {Promise<number>} */
async function startPlane() {
  // A path that the compiler does not follow: dist is not there when the sources are checked.
  const built = new URL('../../dist/index.js', import.meta.url).href
  const { createDataPlane } = /** @type {typeof import('../../src/index.ts')} */ (await import(built))
  const mode = contender === 'copy' || contender === 'splice' || contender === 'stream' ? contender : 'native'
  const plane = createDataPlane(mode)
  if (plane.kind !== (mode === 'stream' ? 'stream' : 'native'))
    throw new Error(`the ${plane.kind} data plane runs here`)
  const listener = await plane.listen({ host, port: 0 }, {}, (batch) => {
    for (const visitor of batch) {
      plane.dial(service).then(
        (local) => plane.join(visitor, local),
        () => visitor.destroy('reset'),
      )
    }
  })
  return listener.address.family === 'unix' ? 0 : listener.address.port
}

const port = await (contender === 'node-pipe' ? startPipe() : startPlane())
process.stdout.write(`${JSON.stringify({ port })}\n`)
process.stdin.on('end', () => process.exit(0)).resume()

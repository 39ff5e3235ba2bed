/** A TCP proxy: `node examples/tcp-proxy.mjs 9000 127.0.0.1:8080`, after `npm run build`. Port 0 is any free one. */
import { createDataPlane } from 'millrace'

const [listenPort = '9000', target = '127.0.0.1:8080'] = process.argv.slice(2)
const [host = '127.0.0.1', port] = target.split(':')

const plane = createDataPlane()

// The data plane accepts, dials and joins; a visitor whose service can't be reached is reset.
const listener = await plane.listen({ host: '0.0.0.0', port: Number(listenPort) }, {}, (visitors) => {
  for (const visitor of visitors) {
    plane.joinTo(
      visitor,
      { host, port: Number(port) },
      {
        onEnd: ({ aToB, bToA, path, reason }) =>
          console.log(`${aToB} bytes in by ${path.aToB}, ${bToA} out by ${path.bToA}: ${reason}`),
      },
    )
  }
})
console.log('listening', listener.address)

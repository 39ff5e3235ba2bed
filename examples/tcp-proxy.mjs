/** A TCP proxy: `node examples/tcp-proxy.mjs 9000 127.0.0.1:8080`, after `npm run build`. Port 0 is any free one. */
import { connect, createServer } from 'node:net'
import { join } from 'millrace'

const [listenPort = '9000', target = '127.0.0.1:8080'] = process.argv.slice(2)
const [host, port] = target.split(':')

const server = createServer({ pauseOnConnect: true, allowHalfOpen: true }, (visitor) => {
  const service = connect({ host, port: Number(port), allowHalfOpen: true }, () => {
    join(visitor, service, {
      onEnd: ({ aToB, bToA, path, reason }) =>
        console.log(`${aToB} bytes in by ${path.aToB}, ${bToA} out by ${path.bToA}: ${reason}`),
    })
  })
  service.on('error', () => visitor.resetAndDestroy())
})
server.listen(Number(listenPort), () => console.log('listening', server.address()))

/**
 * The process under measurement: a TCP relay in front of the port in argv[3], moving bytes as argv[2] says. Prints its
 * own port; on every line of standard input prints the CPU seconds it has used so far, all threads, as JSON.
 */
import { connect, createServer, type Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { createDataPlane } from '../src/dataplane/create.ts'
import { readMode } from '../src/dataplane/mode.ts'

const [contender = '', target = ''] = process.argv.slice(2)
const port = Number(target)

function pipe(visitor: Socket): void {
  const service = connect({ host: '127.0.0.1', port, allowHalfOpen: true }, () => {
    visitor.pipe(service)
    service.pipe(visitor)
  })
  visitor.on('error', () => service.destroy())
  service.on('error', () => visitor.destroy())
}

async function start(): Promise<number> {
  if (contender === 'node-pipe') {
    const server = createServer({ pauseOnConnect: true, allowHalfOpen: true }, pipe)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const address = server.address()
    return typeof address === 'object' && address !== null ? address.port : 0
  }
  const plane = createDataPlane(readMode({ MILLRACE_DATAPLANE: contender === 'adaptive' ? 'native' : contender }))
  const wanted = contender === 'stream' ? 'stream' : 'native'
  if (plane.kind !== wanted) throw new Error(`${contender}: the ${plane.kind} data plane runs here`)
  const listener = await plane.listen({ host: '127.0.0.1', port: 0 }, {}, (batch) => {
    for (const visitor of batch) {
      plane.dial({ host: '127.0.0.1', port }).then(
        (service) => void plane.join(visitor, service),
        () => visitor.destroy('reset'),
      )
    }
  })
  return listener.address.family === 'unix' ? 0 : listener.address.port
}

process.stdout.write(`${await start()}\n`)
createInterface({ input: process.stdin })
  .on('line', () => {
    const { user, system } = process.cpuUsage()
    process.stdout.write(`${JSON.stringify({ cpuSeconds: (user + system) / 1e6 })}\n`)
  })
  .on('close', () => process.exit(0))

/**
 * A Node server that is handed two sockets at a time, in a process of its own. argv: what becomes of them, address to
 * listen at. `accept-destroy` destroys both; `stream`, `copy`, `splice` and `adaptive` join them with the public `join()`.
 *
 * Prints `{port}`. Answers every line of standard input with `{taken, descriptors, pipe_ends, heap_kib}` as soon as no
 * join is left, after forced collections.
 */
import { readdirSync, readlinkSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'

const [contender = '', host = '127.0.0.1'] = process.argv.slice(2)
process.env['MILLRACE_DATAPLANE'] = contender === 'adaptive' || contender === 'accept-destroy' ? 'native' : contender
const { defaultDataPlane, join } = await import('../../src/index.ts')
if (contender !== 'accept-destroy') {
  const wanted = contender === 'stream' ? 'stream' : 'native'
  const { kind } = defaultDataPlane()
  if (kind !== wanted) throw new Error(`${contender}: the ${kind} data plane runs here`)
}

let taken = 0
let live = 0
let first: Socket | undefined
const onEnd = (): void => {
  live -= 1
}
const take =
  contender === 'accept-destroy'
    ? (a: Socket, b: Socket): void => {
        a.destroy()
        b.destroy()
      }
    : (a: Socket, b: Socket): void => {
        live += 1
        join(a, b, { onEnd })
      }

const server = createServer({ pauseOnConnect: true, allowHalfOpen: true, noDelay: true }, (socket) => {
  if (first === undefined) {
    first = socket
    return
  }
  const other = first
  first = undefined
  taken += 1
  take(other, socket)
})
await new Promise<void>((resolve) => server.listen({ host, port: 0, backlog: 4096 }, resolve))

function descriptors(): { descriptors: number; pipe_ends: number } {
  const links = readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/self/fd/${fd}`)]
    } catch {
      // The folder itself, which was open while it was read.
      return []
    }
  })
  return { descriptors: links.length, pipe_ends: links.filter((link) => link.startsWith('pipe:')).length }
}

async function look(): Promise<object> {
  const limit = Date.now() + 15_000
  while (live > 0 && Date.now() < limit) await sleep(20)
  const collect: unknown = Reflect.get(globalThis, 'gc')
  for (let turn = 0; turn < 3; turn += 1) {
    if (typeof collect === 'function') Reflect.apply(collect, undefined, [])
    await sleep(20)
  }
  return { taken, live, ...descriptors(), heap_kib: process.memoryUsage().heapUsed / 1024 }
}

const address = server.address()
process.stdout.write(
  `${JSON.stringify({ port: typeof address === 'object' && address !== null ? address.port : 0 })}\n`,
)
createInterface({ input: process.stdin })
  .on('line', () => void look().then((answer) => process.stdout.write(`${JSON.stringify(answer)}\n`)))
  .on('close', () => process.exit(0))

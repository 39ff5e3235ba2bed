/**
 * `exit.mjs CODE HOW DELAY`: calls process.exit(CODE) in mid-traffic, DELAY ms after it began. HOW: `timer`; `data` (in
 * the callback of a socket that got some of it); `end` (in that of another join's end); `threads` (two worker threads are
 * in mid-traffic too). With a certificate and its key in TLS_CERT and TLS_KEY the traffic is TLS's. Run by exits.test.ts.
 */
import { once } from 'node:events'
import { isMainThread, parentPort, Worker } from 'node:worker_threads'
import { startTlsTraffic, startTraffic } from './traffic.mjs'

const [code = '', how = '', delay = ''] = process.argv.slice(2)

const { TLS_CERT: cert, TLS_KEY: key } = process.env

const start = () => (cert === undefined || key === undefined ? startTraffic() : startTlsTraffic({ cert, key }))

async function main() {
  const { join, visitor } = await start()
  if (how === 'threads') {
    const threads = [1, 2].map(() => new Worker(new URL(import.meta.url)))
    await Promise.all(threads.map((thread) => once(thread, 'message')))
  }
  await new Promise((resolve) => setTimeout(resolve, Number(delay)))
  const leave = () => process.exit(Number(code))
  if (how === 'data') visitor.once('data', leave)
  else if (how === 'end') {
    const other = await start()
    other.visitor.destroy()
    void other.join.done.then(leave)
  } else leave()
  await join.done
}

if (isMainThread) await main()
else {
  await start()
  parentPort?.postMessage('flowing')
}

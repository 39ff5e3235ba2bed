/**
 * `exit.mjs CODE HOW DELAY`: calls process.exit(CODE) in mid-traffic, DELAY ms after it began. HOW: `timer`; `data` (in
 * the callback of a socket that got some of it); `end` (in that of another join's end); `threads` (two worker threads are
 * in mid-traffic too). Run by exits.test.ts.
 */
import { once } from 'node:events'
import { isMainThread, parentPort, Worker } from 'node:worker_threads'
import { startTraffic } from './traffic.mjs'

const [code = '', how = '', delay = ''] = process.argv.slice(2)

async function main() {
  const { join, visitor } = await startTraffic()
  if (how === 'threads') {
    const threads = [1, 2].map(() => new Worker(new URL(import.meta.url)))
    await Promise.all(threads.map((thread) => once(thread, 'message')))
  }
  await new Promise((resolve) => setTimeout(resolve, Number(delay)))
  const leave = () => process.exit(Number(code))
  if (how === 'data') visitor.once('data', leave)
  else if (how === 'end') {
    const other = await startTraffic()
    other.visitor.destroy()
    void other.join.done.then(leave)
  } else leave()
  await join.done
}

if (isMainThread) await main()
else {
  await startTraffic()
  parentPort?.postMessage('flowing')
}

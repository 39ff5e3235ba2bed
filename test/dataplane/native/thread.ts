import { once } from 'node:events'
import { Worker } from 'node:worker_threads'

/**
 * Runs worker.ts in a worker thread. Node 20 doesn't hand the main thread's loader on, so the thread registers its own.
 * `once`: one join with traffic, to its end, after which the thread has nothing to live for. `traffic`: bulk through
 * joins until somebody ends the thread. Each posts one message when bytes have passed.
 */
export function startThread(task: 'once' | 'traffic'): Worker {
  const body = JSON.stringify(new URL('./worker.ts', import.meta.url).href)
  const boot = `import('tsx/esm/api').then(({ register }) => { register(); return import(${body}) })`
  return new Worker(boot, { eval: true, workerData: task })
}

/** Resolves with the thread's one message, once the thread has ended: Node may tell both in one go. */
export async function runThread(): Promise<unknown> {
  const thread = startThread('once')
  const [[message]] = (await Promise.all([once(thread, 'message'), once(thread, 'exit')])) as [[unknown], unknown]
  return message
}

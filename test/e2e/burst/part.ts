import { type ChildProcess, fork } from 'node:child_process'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Mailbox } from '../../agent/events.ts'

/** A program of this folder in a process of its own, which ends with the test at the latest. */
export class Part<News> {
  readonly #child: ChildProcess
  readonly #news: Mailbox<News>

  constructor(t: TestContext, program: 'agent.ts' | 'visitors.ts', order: object, patienceMs?: number) {
    this.#news = new Mailbox(`news of ${program}`, patienceMs)
    const file = fileURLToPath(new URL(program, import.meta.url))
    this.#child = fork(file, [JSON.stringify(order)], { execArgv: ['--import', 'tsx'] })
    this.#child.on('message', (news) => this.#news.put(news as News))
    const ended = new Promise<void>((resolve) => {
      this.#child.once('exit', () => {
        this.#news.close()
        resolve()
      })
    })
    t.after(async () => {
      this.#child.kill('SIGKILL')
      await ended
    })
  }

  /** What it says next. */
  next(): Promise<News> {
    return this.#news.next()
  }

  /** Asks it to say something. */
  ask(): Promise<News> {
    this.#child.send({})
    return this.#news.next()
  }
}

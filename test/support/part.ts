import { type ChildProcess, fork } from 'node:child_process'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Mailbox } from '../agent/events.ts'

/** A program in a process of its own that sends messages; it ends with the test at the latest. */
export class Part<News> {
  readonly #child: ChildProcess
  readonly #news: Mailbox<News>

  /** `program`: its module. `order` goes there as JSON. */
  constructor(t: Pick<TestContext, 'after'>, program: URL, order: object, patienceMs?: number) {
    this.#news = new Mailbox(`news of ${program.pathname}`, patienceMs)
    this.#child = fork(fileURLToPath(program), [JSON.stringify(order)], { execArgv: ['--import', 'tsx'] })
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

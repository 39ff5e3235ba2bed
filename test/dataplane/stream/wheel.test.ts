import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { clearDeadline, now, setDeadline, type Timed } from '../../../src/dataplane/stream/wheel.ts'
import { deferred } from '../pair.ts'

/** The wheel's own timer keeps no process alive. */
const alive = setInterval(() => {}, 1_000)
after(() => clearInterval(alive))

/** Something on the wheel that says when it was due. */
class Probe implements Timed {
  wheelSlot = 0
  readonly #due = deferred<number>()

  get due(): Promise<number> {
    return this.#due.promise
  }

  onDue(time: number): void {
    this.#due.resolve(time)
  }
}

test('a deadline is never early, and the order is kept', async () => {
  const start = now()
  const [late, early] = [new Probe(), new Probe()]
  setDeadline(late, 240)
  setDeadline(early, 20)
  const first = await early.due
  assert.ok(first - start >= 20)
  const second = await late.due
  assert.ok(second - start >= 240 && second > first)
})

test('a later deadline replaces the first, and a cleared one never comes', async () => {
  const start = now()
  const [moved, cleared] = [new Probe(), new Probe()]
  let rang = false
  cleared.onDue = () => {
    rang = true
  }
  setDeadline(moved, 10)
  setDeadline(moved, 150)
  setDeadline(cleared, 60)
  clearDeadline(cleared)
  assert.ok((await moved.due) - start >= 150)
  assert.equal(rang, false)
})

test('one that is due may take away another of the same moment', async () => {
  const [a, b] = [new Probe(), new Probe()]
  let calls = 0
  for (const [mine, other] of [
    [a, b],
    [b, a],
  ] as const) {
    const ring = mine.onDue.bind(mine)
    mine.onDue = (time) => {
      calls += 1
      clearDeadline(other)
      ring(time)
    }
  }
  setDeadline(a, 30)
  setDeadline(b, 30)
  await Promise.race([a.due, b.due])
  const after = new Probe()
  setDeadline(after, 120)
  await after.due
  assert.equal(calls, 1)
})

import { strict as assert } from 'node:assert'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { PidLock } from '../src/pid-lock.ts'

test('a lock has one holder, and is free again afterwards', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-lock-'))
  t.after(() => rm(folder, { recursive: true }))
  const file = join(folder, 'lock')
  const [one, two] = [new PidLock(file), new PidLock(file)]
  assert.equal(await one.take(), true)
  assert.equal(await two.take(), false)
  assert.equal(await two.takeWithin(50), false)
  const waiting = two.takeWithin(10_000)
  await one.release()
  assert.equal(await waiting, true)
  assert.deepEqual([one.held, two.held], [false, true])
  await two.release()
  await two.release()
  assert.deepEqual(await readdir(folder), [])
})

test('of many at once one gets it; what dead processes left is nobody’s', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-lock-'))
  t.after(() => rm(folder, { recursive: true }))
  const file = join(folder, 'lock')
  for (let round = 0; round < 20; round++) {
    for (const left of ['999999999.gone.1', `${process.ppid}.another-birth.2`, 'nonsense'])
      await writeFile(`${file}.${left}`, '')
    const locks = Array.from({ length: 8 }, () => new PidLock(file))
    const taken = await Promise.all(locks.map((lock) => lock.takeWithin(0)))
    assert.ok(taken.filter(Boolean).length <= 1)
    assert.deepEqual(
      locks.map(({ held }) => held),
      taken,
    )
    for (const lock of locks) await lock.release()
    for (const lock of locks) {
      assert.equal(await lock.take(), true)
      await lock.release()
    }
  }
  assert.deepEqual(await readdir(folder), [])
})

import { strict as assert } from 'node:assert'
import { type TestContext, test } from 'node:test'
import { skip } from '../dataplane/native/plane.ts'
import { startEcho, Visitor } from './echo.ts'
import { NarrowProxy, type NarrowState } from './narrow.ts'

/** A turn of the listener that finds no descriptor comes every 100 ms; a busy loop would take all of a core. */
const busyShare = 0.25
const watchedMs = 1_500

for (const workers of ['1', '3']) {
  test(`a proxy with 64 descriptors, ${workers} workers`, { skip }, async (t) => {
    const proxy = await NarrowProxy.start(t, await startEcho(t), workers)
    const visitors = Array.from({ length: 6 }, () => new Visitor(t, proxy.port))
    const served = (): Promise<readonly boolean[]> => Promise.all(visitors.map((visitor) => visitor.ping()))
    assert.deepEqual(await served(), Array(6).fill(true), 'there is room for six')

    await storm(t, proxy, served)
    visitors.push(...(await fill(t, proxy)))
    const full = await proxy.ask('state')
    assert.equal(full.joins, visitors.length)
    assert.ok((await proxy.cpuShare(watchedMs)) < busyShare, 'it rests while it is full')

    // What streams now copies, as a pipe would take the reserve.
    assert.equal(await visitors[0]?.ping(8 << 20), true)
    const { spliceFallbacks, pipes } = await proxy.ask('state')
    assert.ok((spliceFallbacks['no-pipe'] ?? 0) > 0, JSON.stringify(spliceFallbacks))
    assert.equal(pipes, 0)

    // Not even the reserve is left: a visitor waits in the kernel's queue, and is served once another leaves.
    const hogged = await proxy.ask('hog')
    assert.ok(hogged.hogged > 0)
    const waiting = new Visitor(t, proxy.port)
    const answer = waiting.ping()
    assert.ok((await proxy.cpuShare(watchedMs)) < busyShare, 'it rests while it has no descriptor')
    assert.ok((await served()).every(Boolean), 'those that it has are served')
    assert.equal((await proxy.ask('state')).accepted, hogged.accepted)
    visitors.shift()?.close()
    assert.equal(await answer, true, 'the next came in as another left')
    assert.ok((await served()).every(Boolean))

    await proxy.ask('release')
    for (const visitor of [waiting, ...visitors.splice(0)]) visitor.close()
    await until(proxy, ({ joins, endpoints }) => joins === 0 && endpoints === 0)
    visitors.push(...Array.from({ length: 6 }, () => new Visitor(t, proxy.port)))
    assert.deepEqual(await served(), Array(6).fill(true), 'all is as at first')
  })
}

/** Two hundred at once: each is served or refused, and those who were there are served all the while. */
async function storm(t: TestContext, proxy: NarrowProxy, served: () => Promise<readonly boolean[]>): Promise<void> {
  const crowd = Array.from({ length: 200 }, () => new Visitor(t, proxy.port))
  let over = false
  const answers = Promise.all(crowd.map((visitor) => visitor.ping())).finally(() => {
    over = true
  })
  while (!over) assert.ok((await served()).every(Boolean), 'those that it has are served')
  const refused = (await answers).filter((answered) => !answered).length
  const state = await proxy.ask('state')
  assert.ok(refused > 150, `${refused} of 200 were refused`)
  assert.equal(refusals(state), refused, JSON.stringify(state))
  for (const visitor of crowd) visitor.close()
  await until(proxy, ({ joins, endpoints }) => joins === 6 && endpoints === 12)
}

/** Visitors, one after the other, until one is refused. */
async function fill(t: TestContext, proxy: NarrowProxy): Promise<readonly Visitor[]> {
  const visitors: Visitor[] = []
  for (;;) {
    const visitor = new Visitor(t, proxy.port)
    if (!(await visitor.ping())) return visitors
    visitors.push(visitor)
  }
}

/** Visitors that were refused, by the listener or as no connection could be made for them. */
function refusals({ refused, dialErrors }: NarrowState): number {
  assert.deepEqual(
    Object.keys(dialErrors).filter((code) => code !== 'EMFILE'),
    [],
  )
  return refused + (dialErrors['EMFILE'] ?? 0)
}

async function until(proxy: NarrowProxy, holds: (state: NarrowState) => boolean): Promise<void> {
  const late = performance.now() + 30_000
  for (;;) {
    const state = await proxy.ask('state')
    if (holds(state)) return
    assert.ok(performance.now() < late, JSON.stringify(state))
  }
}

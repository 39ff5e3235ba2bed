import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { Affinity } from '../../src/relay/affinity.ts'

const owner = (clientId: string, identityKey = 'token'): { clientId: string; identityKey: string } => ({
  clientId,
  identityKey,
})

async function folder(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'millrace-affinity-'))
  t.after(() => rm(path, { recursive: true, force: true }))
  return path
}

describe('Affinity', () => {
  it('recalls addresses in the order in which they were given', () => {
    const affinity = new Affinity(10)
    for (const port of ['7001', '7000', '7001']) affinity.remember(owner('a'), 'port', port, false)
    affinity.remember(owner('a'), 'host', 'x.localhost', false)
    assert.deepEqual(affinity.recall(owner('a'), 'port', false), ['7001', '7000'])
    assert.deepEqual(affinity.recall(owner('a'), 'host', false), ['x.localhost'])
    assert.deepEqual(affinity.recall(owner('b'), 'port', false), [])
  })

  it("recalls an agent's own addresses before those of its token", () => {
    const affinity = new Affinity(10)
    affinity.remember(owner('a'), 'port', '1', true)
    affinity.remember(owner('b'), 'port', '2', true)
    assert.deepEqual(affinity.recall(owner('b'), 'port', true), ['2', '1'])
    assert.deepEqual(affinity.recall(owner('new'), 'port', true), ['1', '2'])
    assert.deepEqual(affinity.recall(owner('a', 'another token'), 'port', true), [])
  })

  it('forgets the owners not seen for longest', () => {
    const affinity = new Affinity(2)
    affinity.remember(owner('a'), 'port', '1', false)
    affinity.remember(owner('b'), 'port', '2', false)
    affinity.recall(owner('a'), 'port', false)
    affinity.remember(owner('c'), 'port', '3', false)
    assert.deepEqual(affinity.recall(owner('b'), 'port', false), [])
    assert.deepEqual(affinity.recall(owner('a'), 'port', false), ['1'])
  })

  it('survives a restart through its file, which holds no client id and is for its owner only', async (t) => {
    const dir = await folder(t)
    const file = join(dir, 'affinity.json')
    const first = new Affinity(10, file)
    first.remember(owner('secret-client-id'), 'host', 'x.localhost', false)
    await Promise.all([first.save(), first.save()])
    assert.deepEqual(await readdir(dir), ['affinity.json'])
    assert.equal((await stat(file)).mode & 0o777, 0o600)
    assert(!(await readFile(file, 'utf8')).includes('secret-client-id'))
    const second = new Affinity(10, file)
    await second.load()
    assert.deepEqual(second.recall(owner('secret-client-id'), 'host', false), ['x.localhost'])
  })

  it('begins empty when its file is missing or damaged', async (t) => {
    const file = join(await folder(t), 'affinity.json')
    for (const text of [undefined, 'no json', '{}', '[1, null, ["x"], ["y", [1], []]]']) {
      if (text !== undefined) await writeFile(file, text)
      const affinity = new Affinity(10, file)
      await affinity.load()
      assert.deepEqual(affinity.recall(owner('x'), 'host', true), [])
    }
  })
})

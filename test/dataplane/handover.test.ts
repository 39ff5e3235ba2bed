/** Listeners that go from one holder to another: the same socket, without a connection lost. */
import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { createDataPlane } from '../../src/dataplane/create.ts'
import { HandoverDoor, handoverProblem, sendParcels } from '../../src/dataplane/handover.ts'
import type { DataPlane, Endpoint, Listener } from '../../src/dataplane/types.ts'

function doorPath(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-door-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return join(folder, 'door')
}

/** Visitors of a listener, one after the other. */
class Visitors {
  readonly #come: Endpoint[] = []
  #wanted: ((endpoint: Endpoint) => void)[] = []
  readonly take = (batch: readonly Endpoint[]): void => {
    for (const endpoint of batch) {
      const next = this.#wanted.shift()
      if (next === undefined) this.#come.push(endpoint)
      else next(endpoint)
    }
  }

  get count(): number {
    return this.#come.length
  }

  async next(): Promise<Endpoint> {
    return this.#come.shift() ?? (await new Promise((resolve) => this.#wanted.push(resolve)))
  }
}

async function visit(listener: Listener): Promise<void> {
  const { address } = listener
  assert(address.family !== 'unix')
  const socket = connect(address.port, address.host)
  socket.on('error', () => undefined)
  await new Promise((resolve) => socket.once('connect', resolve))
  socket.write('hello')
}

const problem = handoverProblem()
const modes = ['native', 'stream'] as const

describe('a handover', { skip: problem === undefined ? false : problem }, () => {
  for (const [from, to] of [
    [modes[0], modes[0]],
    [modes[0], modes[1]],
    [modes[1], modes[0]],
    [modes[1], modes[1]],
  ] as const) {
    it(`gives a listener of a ${from} data plane to a ${to} one, with who is queued`, async (t) => {
      const [old, next]: readonly [DataPlane, DataPlane] = [createDataPlane(from), createDataPlane(to)]
      const [before, after] = [new Visitors(), new Visitors()]
      const first = await old.listen({ host: '127.0.0.1', port: 0 }, {}, before.take)
      await visit(first)
      ;(await before.next()).destroy()
      const path = doorPath(t)
      const door = HandoverDoor.open(path)
      assert.equal(statSync(path).mode & 0o777, 0o600)
      sendParcels(path, [{ note: { role: 'http' }, socket: first }, { note: 'just a word' }])
      const [parcel, word, ...rest] = door.take()
      door.close()
      assert.deepEqual([parcel?.note, word?.note, word?.socket, rest], [{ role: 'http' }, 'just a word', undefined, []])
      assert(parcel?.socket !== undefined)
      assert.deepEqual(parcel.socket.address, first.address)
      await first.leave()
      // Nobody accepts at this moment: the kernel keeps it.
      await visit(first)
      assert.equal(before.count, 0)
      const second = await next.listen(parcel.socket, {}, after.take)
      assert.deepEqual(second.address, first.address)
      const visitor = await after.next()
      assert.equal(String(await visitor.read(30_000)), 'hello')
      visitor.destroy()
      await second.close()
      assert.equal(existsSync(path), false)
    })
  }

  it('carries more listeners than one message holds', async (t) => {
    const plane = createDataPlane('native')
    const path = doorPath(t)
    const door = HandoverDoor.open(path)
    const listener = await plane.listen({ host: '127.0.0.1', port: 0 }, {}, () => undefined)
    sendParcels(
      path,
      Array.from({ length: 600 }, (_, i) => ({ note: i, socket: listener })),
    )
    const parcels = door.take()
    assert.deepEqual(
      parcels.map(({ note }) => note),
      Array.from({ length: 600 }, (_, i) => i),
    )
    assert.ok(parcels.every(({ socket }) => socket !== undefined))
    for (const { socket } of parcels) socket?.close()
    door.close()
    await listener.close()
  })

  it('says when there is no door', async (t) => {
    const path = doorPath(t)
    assert.throws(() => sendParcels(path, [{ note: 1 }]), { code: 'ERR_HANDOVER' })
  })

  it('refuses what does not listen', async (t) => {
    const path = doorPath(t)
    const plane = createDataPlane('native')
    const listener = await plane.listen({ host: '127.0.0.1', port: 0 }, {}, () => undefined)
    const stranger = { address: listener.address, close: () => undefined }
    await assert.rejects(async () => plane.listen(stranger, {}, () => undefined), { code: 'ERR_OPTION' })
    await listener.close()
    assert.throws(() => sendParcels(path, [{ note: 1, socket: listener }]), { code: 'ERR_HANDOVER' })
  })
})

/** Web visitors whose lanes are lost before they have taken anything. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { DataPlane, Endpoint } from '../../src/dataplane/types.ts'
import { makeBed } from './http-front-bed.ts'

const request = 'POST /a HTTP/1.1\r\nHost: a.example\r\nContent-Length: 4\r\n\r\nbody'

/** A visit on a lane that is gone when it is to begin. */
async function lost(dial: () => Promise<Endpoint>, dataPlane: DataPlane): Promise<Endpoint> {
  const lane = dataPlane.lane(await dial(), 'opens', { onClosed: () => undefined })
  const visit = lane.open(Buffer.from('{}'))
  lane.destroy('reset')
  return visit
}

test('another lane gets the whole request, once', async (t) => {
  const ended: string[] = []
  const joinOptions = { onEnd: ({ reason }: { readonly reason: string }) => void ended.push(reason) }
  const bed = await makeBed(t, { openProxy: lost, joinOptions })
  const visitor = bed.visit(request)
  const [, service] = await bed.reached(2)
  await service?.has('body')
  assert.match(service?.received ?? '', /^POST \/a HTTP\/1\.1\r\n/)
  assert.equal(service?.received.split('POST').length, 2)
  service?.socket.end('HTTP/1.1 204 No Content\r\n\r\n')
  await visitor.ends('fin')
  assert.match(visitor.received, /^HTTP\/1\.1 204 /)
  assert.equal((await bed.joinEnd).reason, 'eof')
  await bed.quiet()
  assert.deepEqual(ended, ['unreachable', 'eof'])
  assert.equal(bed.opened(), 1)
  assert.equal(bed.unused(), 0)
})

test('after three it is a 502', async (t) => {
  let moves = 0
  const moveProxy: typeof lost = (dial, dataPlane) => {
    moves += 1
    return lost(dial, dataPlane)
  }
  const bed = await makeBed(t, { openProxy: lost, moveProxy })
  const visitor = bed.visit(request)
  await visitor.ends('fin')
  assert.match(visitor.received, /^HTTP\/1\.1 502 /)
  await bed.quiet()
  assert.equal(moves, 2)
  assert.equal(bed.unused(), 1)
})

test('a visitor that leaves while it moves is forgotten, and what comes for it is not used', async (t) => {
  let arrive: () => void = () => undefined
  let asked: () => void = () => undefined
  const moving = new Promise<void>((resolve) => {
    asked = resolve
  })
  const moveProxy: typeof lost = async (dial) => {
    asked()
    await new Promise<void>((resolve) => {
      arrive = resolve
    })
    return await dial()
  }
  const bed = await makeBed(t, { openProxy: lost, moveProxy })
  const visitor = bed.visit(request)
  await moving
  visitor.socket.resetAndDestroy()
  await bed.quiet()
  assert.equal(bed.unused(), 1)
  arrive()
  const [, service] = await bed.reached(2)
  await service?.ends()
  assert.equal(service?.received, '')
  assert.equal(bed.unused(), 1)
})

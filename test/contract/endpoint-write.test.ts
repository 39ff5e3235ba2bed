import { strict as assert } from 'node:assert'
import type { ClosedHow, Endpoint } from '../../src/dataplane/types.ts'
import { adopted, contract, ended, joins, native, tcp, together, unix } from './harness/contract.ts'
import { collect, endpointOf, rejects } from './harness/raw.ts'
import { eventually, settled, sleep, turns, within } from './harness/wait.ts'

const where = { who: joins, on: [tcp, unix, adopted] }
const onTcp = { who: joins, on: [tcp, adopted] }
const mebibyte = 1_048_576

/** Writes down what onClosed says. */
function watch(endpoint: Endpoint): ClosedHow[] {
  const story: ClosedHow[] = []
  endpoint.onClosed((how) => {
    story.push(how)
  })
  return story
}

together('writes and ends', () => {
  contract('endpoint: writes leave in order, flushed() says when', where, async (bench) => {
    const { endpoint, socket } = await endpointOf(bench)
    const received = collect(socket)
    await endpoint.flushed()
    let wanted = ''
    for (let count = 0; count < 200; count++) {
      endpoint.write(Buffer.from(`${count},`))
      wanted += `${count},`
    }
    await within(endpoint.flushed(), 'flushed()')
    await eventually('all of it', () => received.bytes().length === wanted.length)
    assert.equal(received.bytes().toString(), wanted)
    endpoint.destroy()
    assert.equal(await received.ended, 'fin')
  })

  contract('endpoint: more than 1 MiB waiting destroys it', where, async (bench) => {
    const { endpoint, socket } = await endpointOf(bench)
    socket.pause()
    const part = Buffer.alloc(65_536)
    // The kernel takes some MiB; then 1 MiB may wait.
    for (let count = 0; count < 1_600; count++) {
      endpoint.write(part)
      if (count % 16 === 0) await turns(1)
    }
    await rejects(endpoint.flushed(), 'ERR_ENDPOINT_WRITE_OVERFLOW')
    await rejects(endpoint.read(1_000), 'ERR_ENDPOINT_WRITE_OVERFLOW')
    endpoint.write(part)
    const end = collect(socket)
    await end.ended
    assert.ok(end.bytes().length < 1_600 * part.length)
  })

  contract('endpoint: 1 MiB may wait', where, async (bench) => {
    const { endpoint, socket } = await endpointOf(bench)
    socket.pause()
    for (let count = 0; count < 16; count++) endpoint.write(Buffer.alloc(65_536, count))
    const received = collect(socket)
    await within(endpoint.flushed(), 'flushed()')
    await eventually('all of it', () => received.bytes().length === mebibyte)
  })

  contract('endpoint: flushed() waits for the kernel, and fails with the endpoint', where, async (bench) => {
    const { endpoint, socket } = await endpointOf(bench)
    socket.pause()
    // Fill the kernel's buffers in steps below the limit of what may wait.
    let flushed = true
    for (let count = 0; count < 500 && flushed; count++) {
      endpoint.write(Buffer.alloc(512 * 1024))
      flushed = await Promise.race([endpoint.flushed().then(() => true), sleep(400, false)])
    }
    assert.equal(flushed, false, 'bytes wait in the end')
    const pending = endpoint.flushed()
    pending.catch(() => undefined)
    endpoint.destroy('reset')
    await rejects(pending, 'ERR_ENDPOINT_CLOSED')
  })

  contract('endpoint: flushed() fails when the peer resets', onTcp, async (bench) => {
    const { endpoint, socket } = await endpointOf(bench)
    const story = watch(endpoint)
    socket.resetAndDestroy()
    await eventually('onClosed', () => story.includes('reset'))
    endpoint.write(Buffer.from('too late'))
    await rejects(endpoint.flushed(), 'ERR_ENDPOINT_RESET')
  })

  contract('endpoint: destroy() delivers what was written, then FIN', where, async (bench) => {
    const { endpoint, socket } = await endpointOf(bench)
    socket.pause()
    endpoint.write(Buffer.alloc(900_000, 'x'))
    endpoint.destroy()
    await sleep(30)
    const received = collect(socket)
    assert.equal(await received.ended, 'fin')
    assert.equal(received.bytes().length, 900_000)
  })

  contract("endpoint: destroy('reset') is a reset", onTcp, async (bench) => {
    const { endpoint, socket } = await endpointOf(bench)
    const received = collect(socket)
    endpoint.destroy('reset')
    endpoint.destroy('fin')
    assert.equal(await received.ended, 'ECONNRESET')
  })

  contract("endpoint: destroy('reset') after destroy('fin') does not wait", onTcp, async (bench) => {
    const { endpoint, socket } = await endpointOf(bench)
    const received = collect(socket)
    endpoint.destroy('fin')
    endpoint.destroy('reset')
    assert.ok(['fin', 'ECONNRESET'].includes(await received.ended))
  })

  contract('pitfall 9: the last words reach a peer that is still sending', where, async (bench) => {
    const page = Buffer.from(`HTTP/1.1 502 Bad Gateway\r\n\r\n${'x'.repeat(2_000)}`)
    for (const when of ['before', 'after']) {
      const { endpoint, socket } = await endpointOf(bench)
      socket.pause()
      socket.write('GET /')
      assert.equal((await endpoint.read(30_000)).length, 5)
      if (when === 'before') {
        socket.write(Buffer.alloc(32_768))
        await sleep(20)
      }
      endpoint.write(page)
      endpoint.destroy('fin')
      await sleep(30)
      if (when === 'after') {
        await new Promise<void>((resolve) => {
          socket.write(Buffer.alloc(32_768), () => {
            resolve()
          })
        })
      }
      await sleep(50)
      const received = collect(socket)
      assert.equal(await received.ended, 'fin', `32 KiB sent ${when} the answer`)
      assert.equal(received.bytes().compare(page), 0)
    }
  })

  contract('endpoint: onClosed says that the peer ended', where, async (bench) => {
    const { endpoint, socket } = await endpointOf(bench)
    const story = watch(endpoint)
    socket.end()
    await eventually('onClosed', () => story.length > 0)
    assert.deepEqual(story, ['fin'])
    assert.equal((await endpoint.read(30_000)).length, 0)
    endpoint.write(Buffer.from('still of use'))
    const received = collect(socket)
    await eventually('the answer', () => received.bytes().length === 12)
    await sleep(20)
    assert.deepEqual(story, ['fin'])
  })

  contract('endpoint: onClosed sees a FIN behind bytes that nobody has read', where, async (bench) => {
    const { endpoint, socket } = await endpointOf(bench)
    const story = watch(endpoint)
    socket.end('unread')
    await eventually('onClosed', () => story.length > 0)
    assert.deepEqual(story, ['fin'])
    assert.equal((await endpoint.read(30_000)).toString(), 'unread')
  })

  contract('endpoint: onClosed says that the peer reset', onTcp, async (bench) => {
    const { endpoint, socket } = await endpointOf(bench)
    const story = watch(endpoint)
    socket.resetAndDestroy()
    await eventually('onClosed', () => story.length > 0)
    await sleep(20)
    assert.deepEqual(story, ['reset'])
  })

  contract('endpoint: onClosed set after the end is told in a later turn', onTcp, async (bench) => {
    const { endpoint, socket } = await endpointOf(bench)
    socket.end()
    assert.equal((await endpoint.read(30_000)).length, 0)
    const story = watch(endpoint)
    assert.deepEqual(story, [], 'not from within the call')
    await eventually('onClosed', () => story.length > 0)
    assert.deepEqual(story, ['fin'])
    const dead = await endpointOf(bench)
    dead.socket.resetAndDestroy()
    await rejects(dead.endpoint.read(30_000), 'ERR_ENDPOINT_RESET')
    const ending = watch(dead.endpoint)
    assert.equal(ending.length, 0)
    await eventually('onClosed', () => ending.includes('reset'))
  })

  contract('endpoint: a second onClosed replaces the first', where, async (bench) => {
    const { endpoint, socket } = await endpointOf(bench)
    const first = watch(endpoint)
    const second = watch(endpoint)
    socket.end()
    await eventually('onClosed', () => second.length > 0)
    assert.deepEqual(first, [])
  })

  contract('endpoint: onClosed is silent after destroy()', where, async (bench) => {
    const { endpoint, socket } = await endpointOf(bench)
    const story = watch(endpoint)
    endpoint.destroy()
    socket.end()
    await collect(socket).ended
    await sleep(30)
    assert.deepEqual(story, [])
  })

  contract('endpoint: onClosed is silent once joined', where, async (bench) => {
    const stories: ClosedHow[][] = []
    const bed = await bench.open({}, (a, b) => {
      stories.push(watch(a.endpoint), watch(b.endpoint))
    })
    bed.a.end()
    bed.b.end()
    await ended(bed, { reason: 'eof', aToB: 0, bToA: 0 })
    await sleep(20)
    assert.deepEqual(stories, [[], []])
  })

  contract('endpoint: a pooled endpoint tells FIN, then reset', { who: native, on: [tcp] }, async (bench) => {
    // Native only: Node does not poll a socket after its end.
    const { endpoint, socket } = await endpointOf(bench)
    const story = watch(endpoint)
    socket.end()
    await eventually('onClosed', () => story.length > 0)
    socket.resetAndDestroy()
    await eventually('onClosed again', () => story.length > 1)
    assert.deepEqual(story, ['fin', 'reset'])
  })

  contract('endpoint: many pooled endpoints die, each is told once', onTcp, async (bench) => {
    const pool = []
    for (let count = 0; count < 30; count++) pool.push(await endpointOf(bench))
    const stories = pool.map(({ endpoint }) => watch(endpoint))
    for (const [index, { socket }] of pool.entries()) {
      if (index % 2 === 0) socket.end()
      else socket.resetAndDestroy()
    }
    await eventually('each is told', () => stories.every((story) => story.length > 0))
    await settled(() => stories.flat().length, 100)
    assert.deepEqual(
      stories,
      pool.map((_, index) => [index % 2 === 0 ? 'fin' : 'reset']),
    )
  })
})

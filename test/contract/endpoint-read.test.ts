import { strict as assert } from 'node:assert'
import { adopted, contract, joins, tcp, together, unix } from './harness/contract.ts'
import { endpointOf, rejects } from './harness/raw.ts'
import { sleep, within } from './harness/wait.ts'

const where = { who: joins, on: [tcp, unix, adopted] }
const onTcp = { who: joins, on: [tcp, adopted] }
const forever = Number.POSITIVE_INFINITY

/** The length of a line with its end, 0 while there is none. */
function line(bytes: Buffer): number {
  return bytes.indexOf('\n') + 1
}

together('reads', () => {
  contract('endpoint: peek takes nothing', where, async (bench) => {
    const { endpoint, socket } = await endpointOf(bench)
    socket.write('hello, ')
    assert.equal((await endpoint.peek(5, forever)).toString().slice(0, 5), 'hello')
    socket.write('world')
    assert.equal((await endpoint.peek(12, 30_000)).toString(), 'hello, world')
    assert.equal((await endpoint.peek(1, 30_000)).toString().slice(0, 1), 'h', 'at least as many as asked for')
    assert.equal((await endpoint.read(30_000)).toString(), 'hello, world')
  })

  contract('endpoint: peek of 64 KiB, and of less when the peer ends', where, async (bench) => {
    const { endpoint, socket } = await endpointOf(bench)
    const bytes = Buffer.alloc(65_536, 'x')
    socket.write(bytes)
    assert.equal((await endpoint.peek(65_536, 30_000)).subarray(0, 65_536).compare(bytes), 0)
    while ((await endpoint.peek(1, 30_000)).length > 0) {
      await endpoint.read(30_000)
      if (!socket.writableEnded) socket.end('end')
    }
    assert.equal((await endpoint.peek(10, 30_000)).length, 0)
    assert.equal((await endpoint.read(30_000)).length, 0)
  })

  contract('endpoint: peek gives fewer bytes once the peer has ended', where, async (bench) => {
    const { endpoint, socket } = await endpointOf(bench)
    socket.end('abc')
    assert.equal((await endpoint.peek(100, 30_000)).toString(), 'abc')
    assert.equal((await endpoint.read(30_000)).toString(), 'abc')
  })

  contract('endpoint: readHead takes exactly the head', where, async (bench) => {
    const { endpoint, socket } = await endpointOf(bench)
    socket.write('one\ntwo\nth')
    assert.equal((await endpoint.readHead(line, 100, 30_000)).toString(), 'one\n')
    assert.equal((await endpoint.readHead(line, 100, 30_000)).toString(), 'two\n')
    const third = endpoint.readHead(line, 100, 30_000)
    for (const letter of 'ree\nrest') {
      socket.write(letter)
      await sleep(1)
    }
    assert.equal((await third).toString(), 'three\n')
    assert.equal((await endpoint.peek(4, 30_000)).toString(), 'rest')
  })

  contract('endpoint: readHead up to its limit, and no further', where, async (bench) => {
    const { endpoint, socket } = await endpointOf(bench)
    socket.write(`${'x'.repeat(99)}\n${'y'.repeat(300)}`)
    assert.equal((await endpoint.readHead(line, 100, 30_000)).length, 100)
    const error = await rejects(endpoint.readHead(line, 100, 30_000), 'ERR_ENDPOINT_HEAD_TOO_LARGE')
    assert.match(error.message, /100/)
    // Nothing of it was taken.
    assert.equal((await endpoint.peek(300, 30_000)).toString(), 'y'.repeat(300))
  })

  contract('endpoint: a head of 200 KiB', where, async (bench) => {
    const { endpoint, socket } = await endpointOf(bench)
    socket.write(`${'z'.repeat(200 * 1024)}\nrest`)
    assert.equal((await endpoint.readHead(line, 256 * 1024, 30_000)).length, 200 * 1024 + 1)
    assert.equal((await endpoint.read(30_000)).toString(), 'rest')
  })

  contract('endpoint: readHead at the end of the peer says how much there was', where, async (bench) => {
    const { endpoint, socket } = await endpointOf(bench)
    socket.end('half a li')
    const half = await rejects(endpoint.readHead(line, 100, 30_000), 'ERR_ENDPOINT_ENDED')
    assert.match(half.message, /after 9 bytes/)
    assert.equal((await endpoint.read(30_000)).toString(), 'half a li', 'what was read stays readable')
    const none = await rejects(endpoint.readHead(line, 100, 30_000), 'ERR_ENDPOINT_ENDED')
    assert.match(none.message, /after 0 bytes/)
  })

  contract('endpoint: what findEnd throws rejects the read', where, async (bench) => {
    const { endpoint, socket } = await endpointOf(bench)
    const fault = new Error('not my protocol')
    socket.write('bad')
    await assert.rejects(
      endpoint.readHead(
        () => {
          throw fault
        },
        100,
        30_000,
      ),
      (error) => error === fault,
    )
    assert.equal((await endpoint.read(30_000)).toString(), 'bad', 'the endpoint is still of use')
  })

  contract('endpoint: read takes at most max, and nothing at the end', where, async (bench) => {
    const { endpoint, socket } = await endpointOf(bench)
    socket.write('abcdef')
    await endpoint.peek(6, 30_000)
    assert.equal((await endpoint.read(30_000, 4)).toString(), 'abcd')
    assert.equal((await endpoint.read(30_000, 4)).toString(), 'ef')
    socket.end()
    assert.equal((await endpoint.read(forever)).length, 0)
    assert.equal((await endpoint.read(forever)).length, 0, 'and again')
    const big = await endpointOf(bench)
    big.socket.write(Buffer.alloc(300_000))
    for (let total = 0; total < 300_000; ) {
      const part = await big.endpoint.read(30_000)
      assert.ok(part.length > 0 && part.length <= 65_536, `${part.length} bytes at once`)
      total += part.length
    }
  })

  contract('endpoint: unread bytes come first', where, async (bench) => {
    const { endpoint, socket } = await endpointOf(bench)
    socket.write('world')
    await endpoint.peek(5, 30_000)
    endpoint.unread(Buffer.from(', '))
    endpoint.unread(Buffer.from('hello'))
    endpoint.unread(Buffer.alloc(0))
    assert.equal(
      (await endpoint.readHead((bytes) => (bytes.length >= 12 ? 12 : 0), 50, 30_000)).toString(),
      'hello, world',
    )
  })

  contract('endpoint: unread bytes after the end of the peer', where, async (bench) => {
    const { endpoint, socket } = await endpointOf(bench)
    socket.end('x')
    assert.equal((await endpoint.read(30_000)).toString(), 'x')
    assert.equal((await endpoint.read(30_000)).length, 0)
    endpoint.unread(Buffer.from('back'))
    assert.equal((await endpoint.read(30_000)).toString(), 'back')
    assert.equal((await endpoint.read(30_000)).length, 0)
  })

  contract('endpoint: deadlines of every read, and what was read stays', where, async (bench) => {
    const { endpoint, socket } = await endpointOf(bench)
    const began = performance.now()
    const error = await rejects(endpoint.read(150), 'ERR_ENDPOINT_READ_TIMEOUT')
    const took = performance.now() - began
    assert.ok(took >= 100 && took < 8_000, `${took} ms`)
    assert.match(error.message, /150 ms/)
    socket.write('par')
    await rejects(endpoint.peek(6, 150), 'ERR_ENDPOINT_READ_TIMEOUT')
    await rejects(endpoint.readHead(line, 100, 150), 'ERR_ENDPOINT_READ_TIMEOUT')
    socket.write('tial\n')
    assert.equal((await endpoint.readHead(line, 100, 30_000)).toString(), 'partial\n')
  })

  contract('endpoint: one read at a time', where, async (bench) => {
    const { endpoint, socket } = await endpointOf(bench)
    const first = endpoint.read(30_000)
    await rejects(endpoint.read(30_000), 'ERR_ENDPOINT_BUSY')
    await rejects(endpoint.peek(1, 30_000), 'ERR_ENDPOINT_BUSY')
    await rejects(endpoint.readHead(line, 10, 30_000), 'ERR_ENDPOINT_BUSY')
    socket.write('x')
    assert.equal((await first).toString(), 'x')
    socket.write('y')
    assert.equal((await endpoint.read(30_000)).toString(), 'y')
  })

  contract('endpoint: a reset rejects the pending read, and the next one', onTcp, async (bench) => {
    const { endpoint, socket } = await endpointOf(bench)
    const pending = endpoint.read(forever)
    pending.catch(() => undefined)
    await sleep(10)
    socket.resetAndDestroy()
    await rejects(pending, 'ERR_ENDPOINT_RESET')
    await rejects(endpoint.peek(1, 30_000), 'ERR_ENDPOINT_RESET')
    await rejects(endpoint.readHead(line, 10, 30_000), 'ERR_ENDPOINT_RESET')
  })

  contract('endpoint: destroy() rejects the pending read, and later calls', where, async (bench) => {
    for (const how of ['fin', 'reset'] as const) {
      const { endpoint } = await endpointOf(bench)
      const pending = endpoint.readHead(line, 100, forever)
      pending.catch(() => undefined)
      endpoint.destroy(how)
      await rejects(pending, 'ERR_ENDPOINT_CLOSED')
      await rejects(endpoint.read(30_000), 'ERR_ENDPOINT_CLOSED')
      await rejects(endpoint.peek(1, 30_000), 'ERR_ENDPOINT_CLOSED')
      await rejects(endpoint.flushed(), 'ERR_ENDPOINT_CLOSED')
      endpoint.write(Buffer.from('into the void'))
      endpoint.destroy()
    }
  })

  contract('endpoint: it knows where it is', where, async (bench) => {
    const { endpoint, socket } = await endpointOf(bench)
    assert.equal(endpoint.encrypted, false)
    assert.equal(endpoint.serverName, '')
    if (bench.pairing === unix) {
      assert.equal(endpoint.local.family, 'unix')
      assert.deepEqual(endpoint.remote, { family: 'unix', path: '' })
    } else {
      assert.deepEqual(endpoint.local, { family: 'ipv4', host: '127.0.0.1', port: socket.remotePort })
      assert.deepEqual(endpoint.remote, { family: 'ipv4', host: '127.0.0.1', port: socket.localPort })
    }
  })

  contract('endpoint: a sender that is not read is stopped', where, async (bench) => {
    const { endpoint, socket } = await endpointOf(bench)
    let taken = 0
    const part = Buffer.alloc(65_536, 'q')
    await endpoint.peek(0, 30_000)
    for (let stopped = false; !stopped; ) {
      stopped = !socket.write(part) && !(await Promise.race([once(socket), sleep(300, false)]))
      if (!stopped) taken += part.length
      assert.ok(taken < 96 * 1_048_576, 'an endpoint nobody reads takes in no more than a bounded amount')
    }
    // And all of it is there once somebody reads.
    socket.end()
    let read = 0
    for (;;) {
      const bytes = await within(endpoint.read(30_000), 'read')
      if (bytes.length === 0) break
      read += bytes.length
    }
    assert.equal(read, socket.bytesWritten)
  })
})

async function once(socket: import('node:net').Socket): Promise<boolean> {
  return await new Promise((resolve) => {
    socket.once('drain', () => {
      resolve(true)
    })
  })
}

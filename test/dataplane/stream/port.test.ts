import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { test } from 'node:test'
import type { PortReader, PortWatcher } from '../../../src/dataplane/stream/port-roles.ts'
import { SocketPort } from '../../../src/dataplane/stream/socket-port.ts'
import { deferred, failure, socketPair } from '../pair.ts'

/** Writes down what a port says, and resolves with its end. */
class Witness implements PortReader, PortWatcher {
  received = 0
  readonly #over = deferred<string>()

  get over(): Promise<string> {
    return this.#over.promise
  }

  onReadable(): void {}

  onChunk(chunk: Buffer): void {
    this.received += chunk.length
  }

  onEnd(): void {
    this.#over.resolve('end')
  }

  onFailed(errno: string): void {
    this.#over.resolve(errno)
  }
}

async function witnessed() {
  const [near, far] = await socketPair()
  const port = new SocketPort(near, undefined, false, undefined)
  const witness = new Witness()
  port.reader = port.watcher = witness
  return { port, far, witness }
}

for (const finSent of [false, true]) {
  test(`bytes and a reset in one event are a reset${finSent ? ', also after our FIN' : ''}`, async () => {
    const { port, far, witness } = await witnessed()
    if (finSent) {
      far.resume()
      const ended = once(far, 'end')
      port.end()
      await ended
    }
    // Both arrive before the port reads: libuv then reports an end (POLLHUP after a short read).
    const written = deferred<void>()
    far.write('some bytes', () => written.resolve())
    await written.promise
    far.resetAndDestroy()
    await once(far, 'close')
    port.flow()
    assert.equal(await witness.over, 'ECONNRESET')
    assert.equal(witness.received, 10)
  })
}

test('a true end is one, and the socket closes once both have ended', async () => {
  const { port, far, witness } = await witnessed()
  far.end('bye')
  port.flow()
  assert.equal(await witness.over, 'end')
  assert.equal(port.ended, true)
  port.end()
  await once(port.socket, 'close')
  assert.equal(port.failure, undefined)
})

test('a paused port knows that it was reset, and still has the bytes', async () => {
  const { port, far, witness } = await witnessed()
  const written = deferred<void>()
  far.write('some bytes', () => written.resolve())
  await written.promise
  assert.equal(port.lost, false)
  far.resetAndDestroy()
  await once(far, 'close')
  assert.equal(port.lost, true)
  port.flow()
  await witness.over
  assert.equal(witness.received, 10)
})

test('the count is exact when a reset cuts a large write short', async () => {
  const { port, far, witness } = await witnessed()
  port.flow()
  const bytes = Buffer.alloc(32_000_000)
  port.write(bytes)
  await new Promise((resolve) => setTimeout(resolve, 50))
  const { taken } = port
  assert.ok(taken > 0 && taken < bytes.length)
  assert.equal(port.given, bytes.length)
  far.resetAndDestroy()
  assert.equal(await witness.over, 'ECONNRESET')
  assert.equal(port.taken, taken)
})

test('writes to a port that is gone do nothing and count for nothing', async () => {
  const { port, far, witness } = await witnessed()
  port.flow()
  port.write(Buffer.from('one'))
  far.resetAndDestroy()
  await witness.over
  port.write(Buffer.from('two'))
  port.end()
  assert.equal(port.taken, 3)
})

test('a reset during a shutdown leaves no descriptor behind', { skip: process.platform !== 'linux' }, async () => {
  const count = (): number => readdirSync('/proc/self/fd').length
  const before = count()
  const { port, far } = await witnessed()
  // The peer sees one of these: FIN and RST come at once.
  const told = Promise.race([once(far, 'end'), failure(far)])
  // libuv shuts down in its next turn only, and refuses to reset until then.
  port.end()
  port.reset()
  await told
  far.destroy()
  for (let turn = 0; turn < 400 && count() > before; turn += 1) await new Promise((resolve) => setTimeout(resolve, 10))
  // One of an earlier test may have closed meanwhile.
  assert.ok(count() <= before)
})

test('linger gets our last words out, and discards 64 KiB at most', async () => {
  const { port, far } = await witnessed()
  const start = performance.now()
  const closed = once(port.socket, 'close')
  port.write(Buffer.from('last words'))
  port.linger()
  const [words] = (await once(far.resume(), 'data')) as [Buffer]
  assert.equal(String(words), 'last words')
  far.write(Buffer.alloc(1_000_000))
  await closed
  assert.ok(performance.now() - start < 1_900, 'not the limit of 2 s')
  far.destroy()
})

test('linger ends after 2 s when the peer just stays', async () => {
  const { port, far } = await witnessed()
  const start = performance.now()
  const closed = once(port.socket, 'close')
  port.linger()
  await closed
  assert.ok(performance.now() - start >= 2_000)
  far.destroy()
})

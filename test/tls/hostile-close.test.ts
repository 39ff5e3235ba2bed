// How connections end: cleanly, cut, and with more behind the end.
import { strict as assert } from 'node:assert'
import { after } from 'node:test'
import { eventually } from '../contract/harness/wait.ts'
import { type Arena, type Attack, attack, goHome, hostile } from './support/hostile.ts'
import { alert, contentType, record } from './support/records.ts'
import type { Sealer } from './support/sealer.ts'

after(goHome)

const cases = (['TLSv1.2', 'TLSv1.3'] as const).flatMap((version) =>
  (['server', 'client'] as const).map((near) => ({ version, near, where: `${version}, as ${near}` })),
)

interface Opened extends Attack {
  readonly sealer: Sealer
  readonly data: (text: string) => Buffer
  readonly closeNotify: () => Buffer
}

async function open(
  arena: Arena,
  options: { version: 'TLSv1.2' | 'TLSv1.3'; near: 'server' | 'client' },
  truncation?: 'fin' | 'reset',
): Promise<Opened> {
  const opened = await attack(arena, options, truncation === undefined ? {} : { truncation })
  const sealer = await opened.wire.takeOver()
  return {
    ...opened,
    sealer,
    data: (text) => sealer.seal(contentType.data, Buffer.from(text)),
    closeNotify: () => sealer.seal(contentType.alert, alert(1, 0)),
  }
}

for (const { where, ...options } of cases) {
  hostile(`close_notify and FIN are a clean end, ${where}`, async (arena) => {
    const { wire, plain, plainSocket, data, closeNotify, ended } = await open(arena, options)
    await wire.inject(data('all of it'), closeNotify())
    assert.equal(await plain.ended, 'fin')
    assert.equal(plain.bytes().toString(), 'all of it')
    plainSocket.end()
    await wire.finish()
    const { reason, aToB } = await ended()
    assert.deepEqual([reason, aToB], ['eof', 9n])
    assert.equal(await wire.untilOver(), 'fin')
  })

  hostile(`what comes behind close_notify is nobody's, ${where}`, async (arena) => {
    const { wire, plain, plainSocket, data, closeNotify, ended } = await open(arena, options)
    await wire.inject(Buffer.concat([data('all of it'), closeNotify(), data(' and more'), Buffer.alloc(500, 'x')]))
    assert.equal(await plain.ended, 'fin')
    // The other direction goes on: RFC 8446 section 6.1.
    plainSocket.write('an answer')
    const before = wire.received.length
    await eventually('the answer comes', () => wire.received.length > before)
    plainSocket.end()
    await wire.finish()
    const { reason, aToB, bToA } = await ended()
    assert.equal(plain.bytes().toString(), 'all of it')
    assert.deepEqual([aToB, bToA], [9n, 9n])
    arena.note(reason)
    assert.ok(reason === 'eof' || reason === 'reset', reason)
  })

  for (const truncation of ['fin', 'reset'] as const) {
    hostile(`FIN without close_notify, passed on as ${truncation}, ${where}`, async (arena) => {
      const { wire, plain, plainSocket, data, ended } = await open(arena, options, truncation)
      await wire.inject(data('as far as it came'))
      await wire.finish()
      const how = await plain.ended
      plainSocket.end()
      const { reason } = await ended()
      assert.equal(plain.bytes().toString(), 'as far as it came')
      arena.note(`${reason}, the other side saw ${how}`)
      assert.equal(how === 'fin', truncation === 'fin', how)
      assert.equal(reason, 'truncated')
      await wire.untilOver()
    })
  }

  hostile(`FIN in the middle of a record, ${where}`, async (arena) => {
    const { wire, plain, data, ended } = await open(arena, options, 'reset')
    await wire.inject(data('whole. '), data('cut short').subarray(0, 12))
    await wire.finish()
    assert.notEqual(await plain.ended, 'fin')
    const { reason } = await ended()
    arena.note(reason)
    assert.ok(reason === 'truncated' || reason === 'error' || reason === 'reset', reason)
    assert.equal(plain.bytes().toString(), 'whole. ')
  })

  hostile(`a reset in the middle of a record, ${where}`, async (arena) => {
    const { wire, plain, data, ended } = await open(arena, options, 'reset')
    await wire.inject(data('whole. '))
    await eventually('the first record is there', () => plain.bytes().length === 7)
    await wire.inject(data('cut short').subarray(0, 12))
    await wire.reset()
    const how = await plain.ended
    const { reason } = await ended()
    arena.note(`${reason}, the other side saw ${how}`)
    // On streams a reset right behind bytes looks like an end, and an end in the middle of a record like a cut.
    assert.ok(reason === 'reset' || (reason === 'truncated' && arena.plane.kind === 'stream'), reason)
    assert.notEqual(how, 'fin')
  })

  hostile(`our close_notify comes before our FIN, ${where}`, async (arena) => {
    const { wire, plainSocket, closeNotify, ended } = await open(arena, options)
    let closed = false
    wire.session.on('end', () => {
      closed = true
    })
    wire.session.resume()
    plainSocket.end('last words')
    // The session hears an end only of close_notify: its wire stays open until we have said ours.
    await eventually('the session hears close_notify', () => closed)
    await wire.inject(closeNotify())
    await wire.finish()
    assert.equal((await ended()).reason, 'eof')
    assert.equal(wire.failure, '')
    assert.ok(wire.received.some(({ type }) => type === contentType.alert) || options.version === 'TLSv1.3')
  })

  hostile(`garbage behind FIN's close_notify does not reach a destroyed join, ${where}`, async (arena) => {
    const { wire, join, data, ended } = await open(arena, options)
    join.destroy()
    await wire.inject(data('too late'), record(contentType.data, Buffer.alloc(100)))
    assert.equal((await ended()).reason, 'aborted')
    await wire.untilOver()
  })
}

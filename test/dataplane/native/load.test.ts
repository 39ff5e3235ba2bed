import { strict as assert } from 'node:assert'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { constants, tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { isAddon } from '../../../src/dataplane/native/addon.ts'
import { describeAttempts, type LoadResult, load } from '../../../src/dataplane/native/load.ts'
import { truncation } from '../../../src/dataplane/native/truncation.ts'
import { type Outcome, runChild } from './child.ts'
import { binary, root, skip } from './plane.ts'

const folder = mkdtempSync(join(tmpdir(), 'millrace-load-'))
after(() => rmSync(folder, { recursive: true, force: true }))

function file(name: string, content: string | Buffer): string {
  const path = join(folder, name)
  writeFileSync(path, content)
  return path
}

/** The one reason for which a path was not loaded. */
function reasonFor(path: string): string {
  const result = load([path])
  assert.equal(result.state, 'broken')
  assert(result.state === 'broken')
  assert.deepEqual(
    result.tried.map((attempt) => attempt.path),
    [path],
  )
  return result.tried[0]?.reason ?? ''
}

/** The first 64 bytes of a whole ELF file of 64 + `sections` × 64 bytes. */
function elfHeader(sections: number): Buffer {
  const header = Buffer.alloc(64)
  header.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1])
  header.writeBigUInt64LE(64n, 40)
  header.writeUInt16LE(64, 58)
  header.writeUInt16LE(sections, 60)
  return header
}

test('load: nothing there is absent, with every path tried', () => {
  const paths = [join(folder, 'a/millrace.node'), join(folder, 'b/millrace.node')]
  const result = load(paths)
  assert.deepEqual(result, {
    state: 'absent',
    tried: paths.map((path) => ({ path, reason: 'there is no such file' })),
  })
})

test('load: a text file, an empty one and a folder are broken, and say why', () => {
  assert.match(reasonFor(file('text.node', 'hello\n')), /too short|ELF|format|mach-o/i)
  assert.match(reasonFor(file('empty.node', '')), /too short|ELF|format|mach-o/i)
  mkdirSync(join(folder, 'folder.node'))
  assert.match(reasonFor(join(folder, 'folder.node')), /directory/)
})

test('load: where one path is broken and one absent, both are told', () => {
  const text = file('both.node', 'hello\n')
  const missing = join(folder, 'missing.node')
  const result = load([text, missing])
  assert(result.state === 'broken')
  const told = describeAttempts(result.tried)
  assert.equal(told.split('\n').length, 2)
  assert.ok(told.includes(`  ${text}: `) && told.endsWith(`  ${missing}: there is no such file`), told)
})

test('truncation: the section table must lie within the file', () => {
  const whole = Buffer.concat([elfHeader(3), Buffer.alloc(3 * 64)])
  assert.equal(truncation(file('whole.elf', whole)), undefined)
  const cut = 'it is cut short: 255 bytes of at least 256'
  assert.equal(truncation(file('cut.elf', whole.subarray(0, 255))), cut)
  assert.match(truncation(file('header.elf', whole.subarray(0, 20))) ?? '', /20 bytes of at least 64/)
  // Not ours to judge.
  assert.equal(truncation(file('elf32.elf', Buffer.from([0x7f, 0x45, 0x4c, 0x46, 1, 1]))), undefined)
  assert.equal(truncation(file('other.elf', 'MZ')), undefined)
})

test('load: the addon loads, also as a second instance', { skip }, () => {
  const results: readonly LoadResult[] = [load([binary]), load([join(folder, 'missing.node'), binary])]
  for (const result of results) {
    assert.equal(result.state, 'loaded')
    assert(result.state === 'loaded')
    assert.equal(result.path, binary)
  }
  const [one, two] = results
  assert(one?.state === 'loaded' && two?.state === 'loaded')
  // Each has an environment of its own: whoever loads a second copy of the library can attach as well.
  assert.notEqual(one.addon, two.addon)
  for (const { addon } of [one, two])
    assert.equal(
      addon.attach(1, () => {}),
      0,
    )
})

test('load: a library that is no addon is broken', (t) => {
  const report: unknown = process.report?.getReport()
  const libraries: unknown = typeof report === 'object' && report !== null && Reflect.get(report, 'sharedObjects')
  const library: unknown = Array.isArray(libraries) && libraries.find((path) => /\/libm\.so/.test(String(path)))
  if (typeof library !== 'string') {
    t.skip('this process has no libm.so to try')
    return
  }
  assert.match(reasonFor(library), /self-register/)
})

test('addon: wrong arguments are refused, and change nothing', { skip }, () => {
  const result = load([binary])
  assert(result.state === 'loaded')
  const { addon } = result
  const wrong: unknown = 'no function'
  for (const call of [
    () => addon.flush(1),
    () => addon.shape(new Float64Array(3)),
    () => addon.drain(new Uint8Array(), new Uint8Array()),
  ]) {
    assert.throws(call, TypeError, 'before attach')
  }
  assert.equal(addon.attach(1, wrong as () => void), -constants.errno.EINVAL)
  assert.equal(
    addon.attach(1, () => {}),
    0,
  )
  assert.throws(() => addon.attach(1, () => {}), TypeError)
  assert.throws(() => addon.read(wrong as number, 1, 1), TypeError)
  assert.throws(() => addon.shape(new Float64Array(2)), TypeError)
  assert.throws(() => addon.statistics(new BigUint64Array(1)), TypeError, 'too small for a row')
  assert.throws(() => addon.join(new Float64Array(3), undefined, undefined, undefined, undefined, undefined), TypeError)
  // No such cell, no such address, no such endpoint.
  assert.throws(
    () => addon.join(new Float64Array(13), undefined, undefined, undefined, undefined, undefined),
    TypeError,
  )
  assert.equal(addon.dial('not an address', 1, undefined, 1), -constants.errno.EINVAL)
  assert.equal(addon.adopt(-1, new Uint8Array(64)), -constants.errno.EBADF)
  addon.destroy(12_345, true)
})

test('load: an addon that lacks a function was built from other sources', { skip }, () => {
  const result = load([binary])
  assert(result.state === 'loaded')
  const functions = Object.entries(result.addon)
  assert.equal(isAddon(Object.fromEntries(functions)), true)
  assert.equal(isAddon(Object.fromEntries(functions.slice(1))), false)
  for (const other of [{}, undefined, null, 'millrace', { attach: () => 0 }]) assert.equal(isAddon(other), false)
})

test('pitfall 26: a binary that was cut short is reported, and ends no process', { skip }, async () => {
  const whole = readFileSync(binary)
  const script = file(
    'truncated.ts',
    `import { load } from ${JSON.stringify(join(root, 'src/dataplane/native/load.ts'))}
    for (const path of process.argv.slice(2)) console.log(JSON.stringify(load([path])))`,
  )
  const cuts = [1, 63, 64, 4096, whole.length >> 2, whole.length >> 1, whole.length - 4096, whole.length - 1]
  const paths = cuts.map((bytes) => file(`cut-${bytes}.node`, whole.subarray(0, bytes)))
  const { code, signal, stdout, stderr } = await runChild(script, paths)
  assert.deepEqual({ code, signal }, { code: 0, signal: null }, stderr)
  const lines = stdout.trim().split('\n')
  assert.equal(lines.length, cuts.length)
  for (const line of lines) assert.match(line, /^\{"state":"broken"/)
})

/** A copy of the sources, whose own build folder holds `addon`; runs `createDataPlane` there twice. */
async function createIn(name: string, addon: string | Buffer | undefined): Promise<Outcome & { readonly at: string }> {
  const at = join(folder, name)
  cpSync(join(root, 'src'), join(at, 'src'), { recursive: true })
  writeFileSync(join(at, 'package.json'), '{ "type": "module" }')
  symlinkSync(join(root, 'node_modules'), join(at, 'node_modules'))
  mkdirSync(join(at, 'build/Release'), { recursive: true })
  if (addon !== undefined) writeFileSync(join(at, 'build/Release/millrace.node'), addon)
  const script = join(at, 'script.ts')
  writeFileSync(
    script,
    `import { createDataPlane } from './src/dataplane/create.ts'
     const planes = [createDataPlane(), createDataPlane('splice')]
     const listener = await planes[0].listen({ host: '127.0.0.1', port: 0 }, {}, (batch) => {
       for (const endpoint of batch) endpoint.destroy()
     })
     const endpoint = await planes[1].dial({ host: '127.0.0.1', port: listener.address.port })
     console.log(planes.map(({ kind, mode }) => kind + ' ' + mode).join(', '), (await endpoint.read(10_000)).length)
     endpoint.destroy()
     await listener.close()`,
  )
  return { ...(await runChild(script, [], { MILLRACE_DATAPLANE: '' })), at }
}

test('create: without a binary streams stand in, silently', async () => {
  const { code, stdout, stderr } = await createIn('absent', undefined)
  assert.deepEqual({ code, stdout, stderr }, { code: 0, stdout: 'stream native, stream splice 0\n', stderr: '' })
})

test('create: a broken binary is reported once, with every path and why; then streams', async () => {
  const { code, stdout, stderr, at } = await createIn('broken', 'this is no addon\n')
  assert.deepEqual({ code, stdout }, { code: 0, stdout: 'stream native, stream splice 0\n' }, stderr)
  assert.equal(stderr.split('MillraceWarning').length, 2, stderr)
  assert.match(stderr, /ERR_DATAPLANE_LOAD/)
  const first = `  ${join(at, 'build/Release/millrace.node')}: `
  const second = `  ${join(at, `prebuilds/${process.platform}-${process.arch}/millrace.node`)}: there is no such file`
  assert.ok(stderr.includes(first) && stderr.includes(second), stderr)
})

test('create: a binary that was cut short is reported, too', { skip }, async () => {
  const whole = readFileSync(binary)
  const { code, stdout, stderr } = await createIn('cut', whole.subarray(0, whole.length >> 1))
  assert.deepEqual({ code, stdout }, { code: 0, stdout: 'stream native, stream splice 0\n' }, stderr)
  assert.match(stderr, /it is cut short: \d+ bytes of at least \d+/)
})

test('workers: MILLRACE_WORKERS is checked before anything starts', { skip }, async () => {
  const script = file(
    'workers.ts',
    `import { createDataPlane } from ${JSON.stringify(join(root, 'src/dataplane/create.ts'))}
    try { console.log(createDataPlane().stats().threads) } catch (error) { console.log(error.code) }`,
  )
  const asked = ['0', '65', '-1', '1.5', 'two', '1e1', '1', '3', '64']
  const answers = await Promise.all(asked.map((words) => runChild(script, [], { MILLRACE_WORKERS: words })))
  assert.deepEqual(
    answers.map(({ stdout }) => stdout.trim()),
    ['ERR_WORKERS', 'ERR_WORKERS', 'ERR_WORKERS', 'ERR_WORKERS', 'ERR_WORKERS', 'ERR_WORKERS', '1', '3', '64'],
  )
  for (const { code, signal, stderr } of answers) assert.deepEqual({ code, signal }, { code: 0, signal: null }, stderr)
})

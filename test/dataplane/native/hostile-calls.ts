/**
 * Run as a child: calls every function of the addon with arguments that no caller of ours would pass, then shows that
 * the engine still works. Arguments: a seed, and how many calls. A crash, and a result or an error of an unforeseen
 * kind, end it with a code other than 0; the last line is then the call.
 */
import { createRequire } from 'node:module'
import { isAddon } from '../../../src/dataplane/native/addon.ts'
import { binary, nativePlane } from './plane.ts'
import { adoptedPair } from './sockets.ts'
import { runThread } from './thread.ts'

const [seed = 1, calls = 20_000] = process.argv.slice(2).map(Number)
const exported: unknown = createRequire(import.meta.url)(binary)
if (!isAddon(exported)) throw new Error('no addon')
const addon = exported

let state = seed
/** 0 to `count` - 1, the same for the same seed (xorshift32). */
function below(count: number): number {
  state ^= state << 13
  state ^= state >>> 17
  state ^= state << 5
  return (state >>> 0) % count
}

function detached(): Uint8Array {
  const array = new Uint8Array(256)
  structuredClone(array.buffer, { transfer: [array.buffer] })
  return array
}

/** A join's numbers: any but sound ones, as those would join the process's own endpoints. */
function fields(): Float64Array {
  const array = new Float64Array(13)
  for (let i = 0; i < array.length; i++) array[i] = numbers[below(numbers.length)] ?? 0
  return array
}

const numbers: readonly number[] = [
  0,
  -0,
  1,
  2,
  3,
  7,
  8,
  63,
  64,
  65,
  255,
  4096,
  65535,
  65536,
  0.5,
  -0.5,
  -1,
  -2,
  1e6,
  2 ** 20,
  2 ** 31,
  2 ** 31 - 1,
  2 ** 32,
  2 ** 32 + 1,
  2 ** 52,
  2 ** 53,
  2 ** 53 - 1,
  2 ** 63,
  2 ** 64,
  1e300,
  -1e300,
  -(2 ** 31),
  -(2 ** 63),
  Number.NaN,
  Number.POSITIVE_INFINITY,
  Number.NEGATIVE_INFINITY,
  Number.MIN_VALUE,
  Number.MAX_VALUE,
]
const strange = numbers.filter((number) => !(Math.trunc(number) >= 0 && number < 1000))
const strings: readonly string[] = [
  '',
  ' ',
  '0',
  '127.0.0.1',
  '::1',
  '127.0.0.1\0',
  '256.0.0.1',
  'fe80::1%',
  'fe80::1%99999999999',
  '/no/such/folder/x',
  '\0',
  '\ud800',
  '%'.repeat(200),
  '/'.repeat(107),
  '/'.repeat(108),
  ':'.repeat(1e5),
]
const bucket = addon.bucket(1000, 1000)
const keys = addon.ticketKeys()
const context = addon.tlsClient(2, '', new Uint8Array(0), new Uint8Array(0), false)
/** Each is one of a kind: wherever another is wanted it is a wrong argument. */
const handles: readonly unknown[] = [bucket, keys, context]
const others: readonly (() => unknown)[] = [
  () => undefined,
  () => null,
  () => true,
  () => false,
  () => 1n,
  () => Symbol('s'),
  () => ({}),
  () => [],
  () => () => 0,
  () => new Date(),
  () => new Proxy({}, {}),
  () => new DataView(new ArrayBuffer(64)),
  () => new ArrayBuffer(64),
  () => new Uint8Array(0),
  () => new Uint8Array(64),
  () => new Uint8Array(200).subarray(3),
  detached,
  fields,
  () => new Uint8Array(new SharedArrayBuffer(8192)),
  () => new BigUint64Array(new SharedArrayBuffer(4096)),
  () => new Int16Array(300),
  () => new Uint8Array(new SharedArrayBuffer(80), 1),
  () => Buffer.alloc(3e3),
  ...handles.map((handle) => () => handle),
]

function argument(): unknown {
  switch (below(4)) {
    case 0:
      return strings[below(strings.length)]
    case 1:
      return others[below(others.length)]?.()
    default:
      return numbers[below(numbers.length)]
  }
}

/** Arguments of the right kinds with the wrong values reach further than those of wrong kinds. */
const shapes: Readonly<Record<string, string>> = {
  attach: 'nf',
  drain: 'bb',
  keepAlive: 'o',
  listen: 'snsnnb',
  listenOn: 'xnnb',
  unlisten: 'no',
  duplicateListener: 'n',
  refused: 'n',
  dial: 'snsn',
  adopt: 'xb',
  wake: '',
  read: 'nnn',
  write: 'nb',
  flush: 'n',
  destroy: 'no',
  release: 'n',
  lane: 'nob',
  open: 'nbb',
  leave: 'no',
  cells: 'c',
  bucket: 'nn',
  join: 'dbbkkb',
  joinTo: 'dbkksnsn',
  abort: 'n',
  finish: 'noo',
  shape: 'd',
  statistics: 'c',
  tlsProblem: '',
  ticketKeys: '',
  setTicketKeys: 'kb',
  tlsServer: 'ssbosk',
  tlsClient: 'nsbbo',
  secure: 'nkssbon',
  openDoor: 's',
  sendDescriptors: 'sbb',
  receiveDescriptors: 'xbb',
  peerUser: 'n',
  notify: 'sb',
}
const kinds: Readonly<Record<string, () => unknown>> = {
  n: () => numbers[below(numbers.length)],
  // No descriptor that this process may have: a duplicate of its own stdout could be shut down.
  x: () => strange[below(strange.length)],
  s: () => (below(2) === 0 ? undefined : strings[below(strings.length)]),
  o: () => below(2) === 0,
  b: () => (below(3) === 0 ? detached() : new Uint8Array(below(5000))),
  c: () => new BigUint64Array(new SharedArrayBuffer(64 * below(20))),
  d: fields,
  f: () => () => 0,
  k: () => (below(4) === 0 ? undefined : handles[below(handles.length)]),
}

/** Those that are given a descriptor. */
const takers: ReadonlySet<string> = new Set(['adopt', 'listenOn', 'receiveDescriptors'])

function argumentsOf(name: string): unknown[] {
  if (!takers.has(name) && below(3) === 0) return Array.from({ length: below(10) }, argument)
  return (shapes[name] ?? '')
    .split('')
    .map((kind) => (!takers.has(name) && below(8) === 0 ? argument() : kinds[kind]?.()))
}

const plane = nativePlane()
const names = Object.keys(addon).filter((name) => typeof Reflect.get(addon, name) === 'function')
const unknown = names.filter((name) => shapes[name] === undefined)
if (unknown.length > 0) throw new Error(`functions without a shape here: ${unknown.join(', ')}`)
// Known to the engine, so that ids that are right come up as well.
const pair = await adoptedPair(plane)
pair.a.peer.on('error', () => {})
pair.b.peer.on('error', () => {})
pair.a.peer.resume()
pair.b.peer.resume()

for (let i = 0; i < calls; i++) {
  const name = names[below(names.length)] ?? ''
  const passed = argumentsOf(name)
  try {
    const result: unknown = Reflect.apply(Reflect.get(addon, name) as () => unknown, addon, passed)
    if (!['undefined', 'number', 'boolean', 'object', 'string'].includes(typeof result))
      fail(name, passed, `returns ${typeof result}`)
    if (typeof result === 'number' && !Number.isSafeInteger(result)) fail(name, passed, `returns ${result}`)
  } catch (error) {
    if (!(error instanceof TypeError) || error.message !== 'millrace addon: wrong arguments')
      fail(name, passed, String(error))
  }
}

function fail(name: string, passed: readonly unknown[], what: string): never {
  process.stdout.write(`${name}(${passed.map((one) => describe(one)).join(', ')}): ${what}\n`)
  process.exit(3)
}

function describe(value: unknown): string {
  if (ArrayBuffer.isView(value)) return `${value.constructor.name}(${value.byteLength})`
  return typeof value === 'string' ? JSON.stringify(value).slice(0, 40) : String(value)
}

// A thread is an environment of its own on the same engine.
const message = await runThread()
process.stdout.write(`after ${calls} calls: ${JSON.stringify(message)}\n`)
process.exit(0)

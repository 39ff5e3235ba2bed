/**
 * `npm run fuzz:hello -- [--seconds N] [--seed N]`: the ClientHello parser of src/net with real hellos, the kept corpus
 * of the engine's `hello` target, broken in seeded ways. Ten seconds unless told otherwise. Prints the seed and the
 * input, in hex, of whatever breaks a rule: it never throws, asks for bytes that it has not, and for no more than its
 * limit; and however the bytes come, the answer is the same.
 */
import { deepStrictEqual } from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { parseClientHello } from '../src/net/client-hello.ts'
import { Failure, main, root, say } from './lib/project.mjs'

/** Lengths, types and versions that parsers get wrong. */
const telling = [0, 1, 2, 3, 4, 22, 23, 127, 128, 254, 255]
const limits = [16_384, 1_000, 300]

main(async () => {
  const { values } = parseArgs({
    options: { seconds: { type: 'string', default: '10' }, seed: { type: 'string', default: '0' } },
  })
  const seconds = Number(values.seconds)
  const seed = Number(values.seed) || Math.floor(Math.random() * 2 ** 31)
  if (!(seconds > 0)) throw new Failure('fuzz:hello: --seconds takes a number above 0')
  const folder = join(root, 'native/test/corpus/hello')
  // Two bytes in front are the engine's.
  const corpus = readdirSync(folder).map((name) => readFileSync(join(folder, name)).subarray(2))
  const random = generator(seed)
  const end = performance.now() + seconds * 1_000
  const kinds = new Map()
  let runs = 0
  for (; performance.now() < end; runs++) {
    const bytes = mutated(corpus, random)
    try {
      const kind = check(bytes, limits[random(limits.length)] ?? 16_384, random)
      kinds.set(kind, (kinds.get(kind) ?? 0) + 1)
    } catch (error) {
      process.stderr.write(`fuzz:hello: run ${runs} of --seed ${seed}: ${bytes.toString('hex')}\n`)
      throw error
    }
  }
  const story = [...kinds].map(([kind, count]) => `${kind} ${count}`).join(', ')
  say(`fuzz:hello: ${runs} runs, ${seconds} s, seed ${seed}: ${story}`)
  return 0
})

/**
 * Mulberry32: whole numbers below `count`.
 * @param {number} seed
 * @returns {(count: number) => number}
 */
function generator(seed) {
  let state = seed
  return (count) => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) % count
  }
}

/**
 * @param {readonly Buffer[]} corpus
 * @param {(count: number) => number} random
 */
function mutated(corpus, random) {
  const pick = () => corpus[random(corpus.length)] ?? Buffer.alloc(0)
  let bytes = Buffer.from(pick())
  for (let changes = random(6); changes >= 0 && bytes.length > 0; changes--) {
    const at = random(bytes.length)
    const to = Math.min(bytes.length, at + 1 + random(40))
    const other = pick()
    const kind = random(6)
    if (kind === 0) bytes[at] = random(256)
    else if (kind === 1) bytes[at] = telling[random(telling.length)] ?? 0
    else if (kind === 2) bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(to)])
    else if (kind === 3) bytes = Buffer.concat([bytes.subarray(0, to), bytes.subarray(at)])
    else if (kind === 4) bytes = Buffer.concat([bytes.subarray(0, at), other.subarray(random(other.length + 1))])
    else bytes = records(bytes, 1 + random(300))
  }
  return bytes.subarray(0, 20_000)
}

/**
 * The first record's content in records of `size` bytes.
 * @param {Buffer} bytes
 * @param {number} size
 */
function records(bytes, size) {
  const parts = []
  for (let at = 5; at < bytes.length; at += size) {
    const part = bytes.subarray(at, at + size)
    parts.push(Buffer.from([22, 3, 1, part.length >> 8, part.length & 255]), part)
  }
  return Buffer.concat(parts)
}

/**
 * @param {Buffer} bytes
 * @param {number} limit
 * @param {(count: number) => number} random
 */
function check(bytes, limit, random) {
  const whole = parseClientHello(bytes, limit)
  if (whole.kind === 'more' && !(whole.need > bytes.length && whole.need <= limit)) {
    throw new Failure(`it has ${bytes.length} bytes and asks for ${whole.need}, with a limit of ${limit}`)
  }
  if (whole.kind === 'hello') {
    const { hello, length } = whole
    if (length > bytes.length || length > limit) throw new Failure('a hello that is longer than what is there')
    if (hello.serverName !== hello.serverName.toLowerCase() || hello.serverName.length > 253) {
      throw new Failure(`a server name that is none: ${hello.serverName}`)
    }
    deepStrictEqual(parseClientHello(bytes.subarray(0, length), limit), whole)
    if (parseClientHello(bytes.subarray(0, length - 1), limit).kind !== 'more') throw new Failure('decided too early')
  }
  // A prefix may know less, and never something else.
  const part = parseClientHello(bytes.subarray(0, random(bytes.length + 1)), limit)
  if (part.kind !== 'more') deepStrictEqual(part, whole)
  return whole.kind
}

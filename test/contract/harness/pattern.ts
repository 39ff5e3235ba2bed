/**
 * Bytes whose position can be told by looking at them: a pseudo-random block of prime length, repeated. The length
 * shares no factor with pages, records or buffers, so losing or repeating any amount of those shows at the next byte.
 */
const period = 1_048_583
/** The longest run that {@link patternAt} gives without copying. */
const slack = 1_048_576

const block = makeBlock()

/** Where in the block the stream of a seed begins, so that two directions never look alike. */
export function patternStart(seed: number): number {
  return (Math.imul(seed + 1, 2_654_435_761) >>> 0) % period
}

/** The `length` bytes (≤ 1 MiB) at position `offset` of the stream of `seed`: a shared view, not to be written to. */
export function patternAt(seed: number, offset: number, length: number): Buffer {
  const start = (patternStart(seed) + offset) % period
  return block.subarray(start, start + length)
}

/** Checks that `bytes` are what the stream of `seed` has at `offset`: a description of the fault, or '' when right. */
export function patternFault(seed: number, offset: number, bytes: Buffer): string {
  for (let at = 0; at < bytes.length; at += slack) {
    const part = bytes.subarray(at, at + slack)
    if (part.compare(patternAt(seed, offset + at, part.length)) !== 0) {
      return describeFault(seed, offset + at, part)
    }
  }
  return ''
}

/** A small seeded generator (mulberry32): numbers in [0, 1). */
export function random(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

function makeBlock(): Buffer {
  const bytes = Buffer.allocUnsafe(period + slack)
  let state = 0x9e3779b9
  for (let at = 0; at < period; at++) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    bytes[at] = state & 255
  }
  bytes.copy(bytes, period, 0, slack)
  return bytes
}

/** Says at which byte a chunk goes wrong and from which place of the stream those bytes come, if from any. */
function describeFault(seed: number, offset: number, part: Buffer): string {
  const wanted = patternAt(seed, offset, part.length)
  let at = 0
  while (part[at] === wanted[at]) at++
  const sample = part.subarray(at, at + 16)
  const found = sample.length < 8 ? -1 : block.indexOf(sample)
  const jump = (found - ((patternStart(seed) + offset + at) % period) + period) % period
  const origin = found < 0 ? 'not of this stream' : `of this stream ${jump} (or ${jump - period}) bytes further on`
  return `wrong byte at ${offset + at}: the next ones are ${origin}`
}

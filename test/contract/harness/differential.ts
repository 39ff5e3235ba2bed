import type { Bed } from './bed.ts'
import type { CleanUp } from './door.ts'
import { Player } from './player.ts'
import { describeScript, makeScript, type Step } from './script.ts'

const minimiseForMs = 10_000

/** What scripts are played on. */
export interface Ground {
  /** For who reads of a failure. */
  readonly name: string
  /** The test file that plays a seed again. */
  readonly file: string
  /** One of the ends is a unix socket, which has no RST. */
  readonly unix: boolean
  /** Two peers that nobody has used yet, and what is between them. */
  open(t: CleanUp): Promise<Bed>
}

/** Plays the script of a seed. Throws at the first difference, with the shortest script found that shows one. */
export async function playSeed(seed: number, ground: Ground): Promise<void> {
  const steps = makeScript(seed)
  const cause = await difference(steps, ground)
  if (cause === undefined) return
  const smallest = await minimise(steps, ground)
  throw new Error(
    [
      `seed ${seed} differs on ${ground.name}: ${cause instanceof Error ? cause.message : ''}`,
      `replay: MILLRACE_SEED=${seed} node --import tsx --test ${ground.file}`,
      `script: ${describeScript(steps)}`,
      `fewest steps found that fail: ${describeScript(smallest)}`,
    ].join('\n'),
    { cause },
  )
}

/** A seed that is none of the fixed ones. */
export function randomSeed(): number {
  return 1_000 + Math.floor(Math.random() * 1_000_000_000)
}

/** The seeds that MILLRACE_SEED asks for, alone; undefined when it does not. */
export function askedSeeds(): readonly number[] | undefined {
  return process.env['MILLRACE_SEED']?.split(',').map(Number)
}

/** Fewest steps that still fail, as far as there is time. */
async function minimise(steps: readonly Step[], ground: Ground): Promise<readonly Step[]> {
  const end = performance.now() + minimiseForMs
  let smallest = steps
  for (let at = 0; at < smallest.length && performance.now() < end; ) {
    const fewer = smallest.toSpliced(at, 1)
    if ((await difference(fewer, ground)) !== undefined) smallest = fewer
    else at++
  }
  return smallest
}

/** What a script shows, if anything. It cleans up after itself. */
async function difference(steps: readonly Step[], ground: Ground): Promise<unknown> {
  const cleanups: (() => void | Promise<void>)[] = []
  const t: CleanUp = {
    after: (cleanup) => {
      cleanups.push(cleanup)
    },
  }
  try {
    await Player.play(steps, await ground.open(t), ground.unix)
    return undefined
  } catch (error) {
    return error
  } finally {
    for (const cleanup of cleanups) await cleanup()
  }
}

import { type TestContext, test } from 'node:test'
import type { Pairing } from './harness/bed.ts'
import { type Contestant, contestants } from './harness/contestants.ts'
import { everyPairing, lanePairings, takesLanes, tcp } from './harness/contract.ts'
import type { CleanUp } from './harness/door.ts'
import { Player } from './harness/player.ts'
import { describeScript, makeScript, type Step } from './harness/script.ts'

/*
 * The differential test: a random script is played on both ends of a join of every implementation and of a direct
 * connection, and everything that can be seen from outside must come out the same. A script is its seed.
 */

/** These are played in every run; more random ones follow until the time is over. */
const fixedSeeds = Array.from({ length: 24 }, (_, index) => index + 1)
const randomForMs = 12_000
const minimiseForMs = 10_000

const anything = [...everyPairing, ...lanePairings]

/** Half of the scripts run over TCP, the others over anything: on lanes, they go through all that a tunnel's visitor does. */
function pairingOf(seed: number): Pairing {
  return seed % 2 === 0 ? tcp : (anything[(seed >> 1) % anything.length] ?? tcp)
}

function takesPart(contestant: Contestant, pairing: Pairing): boolean {
  if (lanePairings.includes(pairing)) return takesLanes(contestant, pairing)
  const pure = pairing.a.transport === pairing.b.transport && pairing.b.birth === 'dial' && pairing.a.birth === 'listen'
  return contestant.plane !== undefined || pure
}

/** Fewest steps that still fail, as far as there is time; every try cleans up after itself. */
async function minimise(steps: readonly Step[], contestant: Contestant, pairing: Pairing): Promise<readonly Step[]> {
  const end = performance.now() + minimiseForMs
  let smallest = steps
  for (let at = 0; at < smallest.length && performance.now() < end; ) {
    const fewer = smallest.toSpliced(at, 1)
    if (await fails(fewer, contestant, pairing)) smallest = fewer
    else at++
  }
  return smallest
}

async function fails(steps: readonly Step[], contestant: Contestant, pairing: Pairing): Promise<boolean> {
  const cleanups: (() => void | Promise<void>)[] = []
  const t: CleanUp = {
    after: (cleanup) => {
      cleanups.push(cleanup)
    },
  }
  try {
    await Player.play(steps, contestant, pairing, t)
    return false
  } catch {
    return true
  } finally {
    for (const cleanup of cleanups) await cleanup()
  }
}

async function playSeed(seed: number, contestant: Contestant, t: TestContext): Promise<void> {
  const pairing = pairingOf(seed)
  const steps = makeScript(seed)
  try {
    await Player.play(steps, contestant, pairing, t)
  } catch (cause) {
    const smallest = await minimise(steps, contestant, pairing)
    throw new Error(
      [
        `seed ${seed} differs on ${contestant.label}, ${pairing.name}: ${cause instanceof Error ? cause.message : ''}`,
        `replay: MILLRACE_SEED=${seed} node --import tsx --test test/contract/differential.test.ts`,
        `script: ${describeScript(steps)}`,
        `fewest steps found that fail: ${describeScript(smallest)}`,
      ].join('\n'),
      { cause },
    )
  }
}

function name(seed: number, contestant: Contestant): string {
  return `differential: seed ${seed} [${contestant.label} ${pairingOf(seed).name}]`
}

const asked = process.env['MILLRACE_SEED']
const seeds = asked === undefined ? fixedSeeds : asked.split(',').map(Number)

for (const seed of seeds) {
  for (const contestant of contestants.filter((one) => takesPart(one, pairingOf(seed)))) {
    test(name(seed, contestant), { timeout: 120_000 }, async (t) => {
      await playSeed(seed, contestant, t)
    })
  }
}

if (asked === undefined) {
  test('differential: random seeds', { timeout: 240_000 }, async (t) => {
    const end = performance.now() + randomForMs
    let count = 0
    for (; performance.now() < end; count++) {
      const seed = 1_000 + Math.floor(Math.random() * 1_000_000_000)
      for (const contestant of contestants.filter((one) => takesPart(one, pairingOf(seed)))) {
        await t.test(name(seed, contestant), async (one) => {
          await playSeed(seed, contestant, one)
        })
      }
    }
    t.diagnostic(`${count} random scripts`)
  })
}

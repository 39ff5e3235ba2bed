import { test } from 'node:test'
import { joined, type Pairing } from './harness/bed.ts'
import { type Contestant, contestants } from './harness/contestants.ts'
import { everyPairing, lanePairings, takesLanes, tcp } from './harness/contract.ts'
import { askedSeeds, type Ground, playSeed, randomSeed } from './harness/differential.ts'

/*
 * The differential test: a random script is played on both ends of a join of every implementation and of a direct
 * connection, and everything that can be seen from outside must come out the same. A script is its seed. The same through
 * whole tunnels is test/e2e/differential.test.ts.
 */

/** These are played in every run; more random ones follow until the time is over. */
const fixedSeeds = Array.from({ length: 24 }, (_, index) => index + 1)
const randomForMs = 12_000

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

/** Those that take part in a seed. */
function grounds(seed: number): readonly Ground[] {
  const pairing = pairingOf(seed)
  return contestants
    .filter((contestant) => takesPart(contestant, pairing))
    .map((contestant) => ({
      name: `${contestant.label} ${pairing.name}`,
      file: 'test/contract/differential.test.ts',
      unix: pairing.a.transport === 'unix' || pairing.b.transport === 'unix',
      open: (t) => joined(contestant, pairing, t),
    }))
}

const asked = askedSeeds()

for (const seed of asked ?? fixedSeeds) {
  for (const ground of grounds(seed)) {
    test(`differential: seed ${seed} [${ground.name}]`, { timeout: 120_000 }, () => playSeed(seed, ground))
  }
}

if (asked === undefined) {
  test('differential: random seeds', { timeout: 240_000 }, async (t) => {
    const end = performance.now() + randomForMs
    let count = 0
    for (; performance.now() < end; count++) {
      const seed = randomSeed()
      for (const ground of grounds(seed)) {
        await t.test(`differential: seed ${seed} [${ground.name}]`, () => playSeed(seed, ground))
      }
    }
    t.diagnostic(`${count} random scripts`)
  })
}

/** Joins where splice may be refused, and writes as JSON what came of it. Run by no-splice.test.ts. */
import { loadPlane } from './parts.mjs'
import { transfer } from './transfer.mjs'

const plane = await loadPlane()
const results = await Promise.all([transfer(plane, 32), transfer(plane, 32)])
const { spliceFallbacks, pipes } = plane.stats()
console.log(
  JSON.stringify({
    spliced: results.map(({ spliced }) => Number(spliced.aToB + spliced.bToA)),
    paths: results.flatMap(({ path }) => [path.aToB, path.bToA]),
    fallbacks: spliceFallbacks,
    pipes,
  }),
)

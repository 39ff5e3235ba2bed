/**
 * `narrow.mjs PORT`: a proxy from a free port of loopback to PORT there, to be run under `ulimit -n 64`. Over the channel
 * it sends its port, and answers `state`, `hog` (opens files until there is no descriptor left) and `release` (closes
 * them). Run by descriptors.test.ts.
 */
import { closeSync, openSync } from 'node:fs'
import process from 'node:process'
import { loadPlane } from './parts.mjs'

const service = { host: '127.0.0.1', port: Number(process.argv[2]) }
const plane = await loadPlane()
let accepted = 0
/** @type {Record<string, number>} */
const dialErrors = {}
/** @type {number[]} */
const hogged = []

const listener = await plane.listen({ host: '127.0.0.1', port: 0 }, {}, (batch) => {
  accepted += batch.length
  for (const visitor of batch) void connect(visitor)
})
if (listener.address.family === 'unix') throw new Error('expected an IP address')

/** @param {import('../../src/index.ts').Endpoint} visitor */
async function connect(visitor) {
  try {
    plane.join(visitor, await plane.dial(service))
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause)
    dialErrors[code] = (dialErrors[code] ?? 0) + 1
    visitor.destroy('reset')
  }
}

process.on('message', (request) => {
  if (request === 'hog') {
    try {
      for (;;) hogged.push(openSync('/dev/null', 'r'))
    } catch {
      // None is left.
    }
  }
  if (request === 'release') for (const fd of hogged.splice(0)) closeSync(fd)
  const { user, system } = process.cpuUsage()
  const { joins, endpoints, pipes, spliceFallbacks } = plane.stats()
  const cpuMs = (user + system) / 1_000
  process.send?.({
    accepted,
    refused: listener.refused,
    dialErrors,
    hogged: hogged.length,
    cpuMs,
    joins,
    endpoints,
    pipes,
    spliceFallbacks,
  })
})
process.send?.(listener.address.port)

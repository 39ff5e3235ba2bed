import { strict as assert } from 'node:assert'
import { test } from 'node:test'
import { makeCertificate } from '../dataplane/certificate.ts'
import { skip } from '../dataplane/native/plane.ts'
import { inLanes, runProgram } from './program.ts'

const exits = 200
const ways = ['timer', 'data', 'end', 'threads'] as const
/** By this time all is in full flow, and pipes are in use. */
const longestDelayMs = 40

async function exitOften(environment: Readonly<Record<string, string>>): Promise<void> {
  const jobs = Array.from({ length: exits }, (_, index) => async () => {
    const code = 1 + (index % 250)
    // Threads double the time to start; one in twenty has them.
    const way = index % 20 === 0 ? 'threads' : (ways[index % 3] ?? 'timer')
    const delay = Math.floor(Math.random() * longestDelayMs)
    const workers = index % 2 === 0 ? '1' : '3'
    const env = { ...environment, MILLRACE_WORKERS: workers }
    const ending = await runProgram('exit.mjs', [String(code), way, String(delay)], env)
    if (ending.code === code && ending.signal === null && ending.stderr === '') return []
    return [`run ${index}, ${way} after ${delay} ms, ${workers} workers: ${JSON.stringify(ending)}, not code ${code}`]
  })
  assert.deepEqual((await inLanes(jobs, 4)).flat(), [])
}

test(`${exits} times process.exit() in mid-traffic`, { skip }, async () => {
  await exitOften({})
})

test(`${exits} times process.exit() with TLS joins running`, { skip }, async () => {
  const { cert, key } = await makeCertificate(['exit.test'])
  await exitOften({ TLS_CERT: cert, TLS_KEY: key })
})

/** `npm run soak`: relay and agents under mixed traffic for minutes; what they hold must stay flat. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { Follower } from '../test/soak/follower.mjs'
import { loadOf, memoryJudgedFromMs, rowsOf, tableOf } from '../test/soak/report.mjs'
import { startStage } from '../test/soak/stage.mjs'
import { kinds, Traffic } from '../test/soak/traffic.mjs'
import { buildAddon, reportAddon } from './lib/addon.mjs'
import { describeDataPlane } from './lib/doctor.mjs'
import { installDependencies } from './lib/install.mjs'
import { Failure, main, say } from './lib/project.mjs'
import { Stopper } from './lib/stopper.mjs'
import { buildTypeScript } from './lib/typescript.mjs'

/** @typedef {{ ms: number, rate: number, json: string | undefined }} Options */
/** @typedef {import('../test/soak/report.mjs').Sample} Sample */

const usage = `usage: npm run soak [-- --minutes N] [--rate R] [--json FILE]

A relay and two agents on loopback, one with plain proxy connections and one with TLS, under bulk, ping-pong, short
connections, half-closes, resets from both sides and idle joins. Every few seconds each process tells its descriptors,
pipes, RSS and heap. Exits 0 if every byte was right, nothing grew over the latter two thirds of the time (RSS: the latter
half) beyond the bound that the table shows, and all sockets were gone at the end; otherwise 1.

  --minutes N   how long (default 10; memory is judged from ${memoryJudgedFromMs / 60_000} on)
  --rate R      how much: 1, the default, is about 15 connections and 80 round trips a second, and a third of a core
  --json FILE   writes the samples there

MILLRACE_DATAPLANE and MILLRACE_WORKERS work as for npm start.`

/** Few enough to cost nothing, and at least twenty of them. */
const samplesWanted = 120
/** For the last connections to be gone, ms. */
const settleMs = 30_000
/** Proxy connections wait in the relay's pools for the next visitor; their number follows demand. */
const poolSlack = 12

main(async () => {
  const options = readArguments()
  if (options === undefined) {
    say(usage)
    return 0
  }
  await installDependencies()
  await buildTypeScript()
  reportAddon(await buildAddon())
  say(`data plane: ${(await describeDataPlane()).text}`)
  const folder = mkdtempSync(join(tmpdir(), 'millrace-soak-'))
  const stopper = new Stopper()
  try {
    return await soak(stopper, folder, options)
  } finally {
    await stopper.stop()
    rmSync(folder, { recursive: true, force: true })
  }
})

/**
 * @param {Stopper} stopper
 * @param {string} folder
 * @param {Options} options
 */
async function soak(stopper, folder, { ms, rate, json }) {
  const sampleMs = Math.min(5_000, Math.max(500, ms / samplesWanted))
  const stage = await Promise.race([startStage(folder, sampleMs, (child) => stopper.add(child)), stopper.stopped])
  if (stage === undefined) return 1
  const followers = stage.processes.map(({ name, child }) => new Follower(name, child))
  const before = await Promise.all(followers.map((follower) => follower.next()))

  say(`traffic for ${(ms / 60_000).toFixed(1)} minutes at rate ${rate}`)
  for (const follower of followers) follower.samples = []
  const traffic = new Traffic(stage.tunnels, rate)
  await Promise.race([new Promise((resolve) => setTimeout(resolve, ms).unref()), stopper.stopped])
  if (stopper.asked) return 1
  const during = followers.map((follower) => follower.samples)
  for (const follower of followers) follower.samples = []
  await traffic.stop()
  const after = await Promise.all(followers.map((follower, index) => settled(follower, before[index])))
  stage.server.close()

  const courses = followers.flatMap(({ name }, index) => {
    const [first, middle, last] = [before[index], during[index], after[index]]
    return first && middle && last ? [{ name, before: first, during: middle, after: last }] : []
  })
  if (json !== undefined) writeFileSync(json, `${JSON.stringify({ ms, rate, courses }, undefined, 1)}\n`)
  return judge(courses, traffic, ms)
}

/**
 * @param {readonly import('../test/soak/report.mjs').Course[]} courses
 * @param {Traffic} traffic
 * @param {number} ms
 */
function judge(courses, traffic, ms) {
  const rows = rowsOf(courses, ms)
  say(`\n${tableOf(rows)}\n`)
  for (const line of loadOf(courses, ms)) say(line)
  say(`done: ${[...traffic.done].map(([name, count]) => `${name} ${count}`).join(', ')}`)
  const faults = [
    ...traffic.faults.slice(0, 20),
    ...kinds.filter(({ name }) => !traffic.done.has(name)).map(({ name }) => `${name} was never done`),
    ...rows
      .filter(({ flat }) => !flat)
      .map((row) => `${row.process}: ${row.measure} grows by ${row.growth.toFixed(1)}`),
    ...courses.flatMap(({ name, before, after }) =>
      isSettled(after, before) ? [] : [`${name}: sockets are left over`],
    ),
  ]
  for (const fault of faults) say(`FAULT ${fault}`)
  say(faults.length === 0 ? 'soak: passed' : `soak: failed, ${Math.max(faults.length, traffic.faults.length)} faults`)
  return faults.length === 0 ? 0 : 1
}

/**
 * The first sample in which everything is gone, or the last that there was time for.
 * @param {Follower} follower
 * @param {Sample | undefined} before
 */
async function settled(follower, before) {
  const late = performance.now() + settleMs
  for (;;) {
    const sample = await follower.next()
    if (before === undefined || isSettled(sample, before) || performance.now() > late) return sample
  }
}

/** @param {Sample} now @param {Sample} before */
function isSettled(now, before) {
  return now.sockets <= before.sockets + poolSlack && now.others <= before.others
}

/** @returns {Options | undefined} undefined: help is wanted */
function readArguments() {
  const number = (/** @type {string} */ name, /** @type {string} */ given) => {
    const value = Number(given)
    if (!(value > 0 && value <= 1_440))
      throw new Failure(`--${name} must be a number above 0, not ${given}\n\n${usage}`)
    return value
  }
  try {
    const { values } = parseArgs({
      options: {
        minutes: { type: 'string', default: '10' },
        rate: { type: 'string', default: '1' },
        json: { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    })
    if (values.help) return undefined
    return { ms: number('minutes', values.minutes) * 60_000, rate: number('rate', values.rate), json: values.json }
  } catch (error) {
    if (error instanceof Failure) throw error
    throw new Failure(`${error instanceof Error ? error.message : String(error)}\n\n${usage}`)
  }
}

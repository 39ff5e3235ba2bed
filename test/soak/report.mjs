/** What a soak found, as a verdict and as a table. */
import { mean, measures, trendOf } from './trend.mjs'

/** Memory and its trend mean nothing before caches, pools and malloc have settled, ms. */
export const memoryJudgedFromMs = 240_000

/**
 * A line of probe.mjs, and when it came.
 * @typedef {object} Sample
 * @property {number} at ms
 * @property {number} sockets
 * @property {number} pipes
 * @property {number} others
 * @property {number} rssKib
 * @property {number} heapKib
 * @property {number} lagP99Ms
 * @property {number} lagMaxMs
 * @property {number} cpuMs
 */

/**
 * One process: its samples before, during and after the traffic.
 * @typedef {object} Course
 * @property {string} name
 * @property {Sample} before
 * @property {readonly Sample[]} during
 * @property {Sample} after
 */

/**
 * One row of the table.
 * @typedef {object} Row
 * @property {string} process
 * @property {string} measure
 * @property {number} before
 * @property {number} first
 * @property {number} mean
 * @property {number} last
 * @property {number} growth
 * @property {number | undefined} allowed undefined where it isn't judged
 * @property {number} after
 * @property {boolean} flat
 */

/**
 * @param {readonly Course[]} courses
 * @param {number} ms how long the traffic was
 * @returns {readonly Row[]}
 */
export function rowsOf(courses, ms) {
  return courses.flatMap(({ name, before, during, after }) =>
    measures.map((measure) => {
      const { key } = measure
      const points = during.map((sample) => ({ at: sample.at, value: sample[key] }))
      const { allowed, growth, ...trend } = trendOf(points, measure)
      const judged = !key.endsWith('Kib') || ms >= memoryJudgedFromMs
      return {
        process: name,
        measure: key,
        before: before[key],
        ...trend,
        growth,
        allowed: judged ? allowed : undefined,
        after: after[key],
        flat: !judged || growth <= allowed,
      }
    }),
  )
}

/** @param {readonly Row[]} rows */
export function tableOf(rows) {
  const head = ['process', 'measure', 'before', 'first', 'mean', 'last', 'growth', 'allowed', 'after', '']
  const lines = rows.map((row) => [
    row.process,
    row.measure,
    ...[row.before, row.first, row.mean, row.last].map(short),
    row.growth.toFixed(1),
    row.allowed === undefined ? 'not judged' : row.allowed.toFixed(1),
    short(row.after),
    row.flat ? 'flat' : 'GROWS',
  ])
  const widths = head.map((word, column) =>
    Math.max(...[head, ...lines].map((line) => line[column]?.length ?? 0), word.length),
  )
  return [head, ...lines]
    .map((line) =>
      line
        .map((cell, column) => (column < 2 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

/** CPU and lag, one line for each process: they are told, not judged, as they are the machine's as well. */
export function loadOf(/** @type {readonly Course[]} */ courses, /** @type {number} */ ms) {
  return courses.map(({ name, before, during }) => {
    const cpuMs = (during.at(-1)?.cpuMs ?? 0) - before.cpuMs
    const p99 = mean(during.map(({ lagP99Ms }) => lagP99Ms))
    const max = Math.max(...during.map(({ lagMaxMs }) => lagMaxMs))
    const share = (cpuMs / ms) * 100
    return `${name}: ${share.toFixed(1)} % of a core; event loop late by ${p99.toFixed(1)} ms (p99, mean of samples), ${max.toFixed(0)} ms at most`
  })
}

/** @param {number} value */
function short(value) {
  return String(Math.round(value))
}

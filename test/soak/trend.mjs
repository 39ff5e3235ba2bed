/** Whether something measured again and again stays flat. */

/**
 * What is measured of each process, and how much it may grow, by its linear trend, over the time that is judged: `least`
 * or, if that is more, `share` of its mean. Sockets follow the visitors that are there at the moment; RSS is what malloc
 * and V8 keep, heap (after a full collection) is what is really in use. A leak of one descriptor, or one KiB of heap, in
 * a hundred connections shows in ten minutes.
 */
export const measures = /** @type {const} */ ([
  { key: 'sockets', unit: '', least: 10, share: 0.04 },
  { key: 'pipes', unit: '', least: 8, share: 0 },
  { key: 'others', unit: '', least: 0.5, share: 0 },
  { key: 'rssKib', unit: 'KiB', least: 6_144, share: 0.05 },
  { key: 'heapKib', unit: 'KiB', least: 768, share: 0.05 },
])

/** The latter part of a soak is judged: before it, caches and pools fill, and V8 compiles. */
const warmUpShare = 1 / 3
/** Of so many samples in a row the least counts: what a visitor has under way when a sample is taken is no growth. */
const samplesPerPoint = 5

/**
 * @typedef {object} Trend
 * @property {number} first
 * @property {number} mean of the least
 * @property {number} last
 * @property {number} growth over the time that is judged
 * @property {number} allowed
 */

/**
 * The trend of the latter two thirds, by least squares through the least of every few points.
 * @param {readonly { at: number, value: number }[]} points in order of time
 * @param {{ least: number, share: number }} bound
 * @returns {Trend}
 */
export function trendOf(points, { least, share }) {
  const begin = points[0]?.at ?? 0
  const end = points.at(-1)?.at ?? 0
  const judged = leastOf(points).filter(({ at }) => at >= begin + (end - begin) * warmUpShare)
  const meanAt = mean(judged.map(({ at }) => at))
  const meanValue = mean(judged.map(({ value }) => value))
  let together = 0
  let squares = 0
  for (const { at, value } of judged) {
    together += (at - meanAt) * (value - meanValue)
    squares += (at - meanAt) ** 2
  }
  const slope = squares === 0 ? 0 : together / squares
  return {
    first: points[0]?.value ?? 0,
    mean: meanValue,
    last: points.at(-1)?.value ?? 0,
    growth: slope * (end - (judged[0]?.at ?? end)),
    allowed: Math.max(least, share * meanValue),
  }
}

/**
 * The least of every few points.
 * @param {readonly { at: number, value: number }[]} points
 */
function leastOf(points) {
  return Array.from({ length: Math.ceil(points.length / samplesPerPoint) }, (_, index) =>
    points
      .slice(index * samplesPerPoint, (index + 1) * samplesPerPoint)
      .reduce((least, point) => (point.value < least.value ? point : least)),
  )
}

/** @param {readonly number[]} values */
export function mean(values) {
  return values.length === 0 ? 0 : values.reduce((sum, value) => sum + value, 0) / values.length
}

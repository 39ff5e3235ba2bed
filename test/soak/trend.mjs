/** Whether something measured again and again stays flat. */

/**
 * What is measured of each process; from which part of the soak on it is judged, as caches and pools fill first and V8
 * compiles; and how much it may grow then, by its linear trend: `least` or, if that is more, `share` of its mean. Sockets
 * follow the visitors that are there at the moment. Heap (after a full collection) is what is really in use. RSS is what
 * malloc and V8 keep as well: where TLS runs on Node streams it takes five minutes at low rates to reach the level that a
 * burst of visitors brings at once, hence the later start. In ten minutes
 * at rate 1 a leak of 120 bytes of heap for each connection shows, or of a descriptor for each six hundredth.
 */
export const measures = /** @type {const} */ ([
  { key: 'sockets', from: 1 / 3, least: 10, share: 0.04 },
  { key: 'pipes', from: 1 / 3, least: 8, share: 0 },
  { key: 'others', from: 1 / 3, least: 0.5, share: 0 },
  { key: 'rssKib', from: 1 / 2, least: 6_144, share: 0.05 },
  { key: 'heapKib', from: 1 / 3, least: 768, share: 0.05 },
])

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
 * The trend from a part of the time on, by least squares through the least of every few points.
 * @param {readonly { at: number, value: number }[]} points in order of time
 * @param {{ from: number, least: number, share: number }} bound
 * @returns {Trend}
 */
export function trendOf(points, { from, least, share }) {
  const begin = points[0]?.at ?? 0
  const end = points.at(-1)?.at ?? 0
  const judged = leastOf(points).filter(({ at }) => at >= begin + (end - begin) * from)
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

/** Collects what one process of a soak tells of itself. */

/** @typedef {import('../../scripts/lib/child.mjs').Child} Child */
/** @typedef {import('./report.mjs').Sample} Sample */

/** Reads the lines that probe.mjs writes, for as long as the process lives. */
export class Follower {
  name
  /** @type {Sample[]} */
  samples = []
  #child

  /** @param {string} name @param {Child} child */
  constructor(name, child) {
    this.name = name
    this.#child = child
    void this.#follow()
  }

  /** The next sample to come. Rejects when the process ends. */
  async next() {
    const entry = await this.#child.waitFor('soak.sample', undefined, this.#child.mark)
    return toSample(entry)
  }

  async #follow() {
    try {
      for (;;) {
        const sample = await this.next()
        // Only now: `samples` may be another one since.
        this.samples.push(sample)
      }
    } catch {
      // The process has ended, which others notice.
    }
  }
}

/** @param {import('../../scripts/lib/child.mjs').Entry} entry @returns {Sample} */
function toSample(entry) {
  const number = (/** @type {string} */ key) => Number(entry[key])
  return {
    at: performance.now(),
    sockets: number('sockets'),
    pipes: number('pipes'),
    others: number('others'),
    rssKib: number('rssKib'),
    heapKib: number('heapKib'),
    lagP99Ms: number('lagP99Ms'),
    lagMaxMs: number('lagMaxMs'),
    cpuMs: number('cpuMs'),
  }
}

/**
 * Reporter for `node --test`: one line for the top-level tests of a file with their number, every failure in full, every
 * skip with its reason, what tests print, and node's closing lines (`# tests 12`).
 */
import { relative } from 'node:path'
import { inspect } from 'node:util'
import { root } from './project.mjs'

/**
 * What the reporter reads of the runner's events.
 * @typedef {object} TestData
 * @property {string} name
 * @property {string} [file] absolute
 * @property {number} nesting
 * @property {string} message of what was printed
 * @property {string | boolean} [skip]
 * @property {{ duration_ms: number, type?: string, error?: { failureType?: string, cause?: unknown } }} details
 */

/** The first of node's closing lines. */
const closing = /^tests \d+$/

/** How many hung tests are named. */
const namedHangs = 10

/**
 * @param {AsyncIterable<{ type: string, data: TestData }>} source
 * @returns {AsyncGenerator<string>}
 */
// biome-ignore lint/style/noDefaultExport: node takes a reporter that way
export default async function* report(source) {
  const books = new Map()
  /** @type {Group | undefined} */
  let group
  /** @type {string[]} */
  const failures = []
  for await (const { type, data } of source) {
    switch (type) {
      case 'test:dequeue':
        bookOf(books, data).begin(data.name)
        break
      case 'test:pass':
      case 'test:fail': {
        const book = bookOf(books, data)
        const unfinished = book.end(data)
        if (data.skip !== undefined && data.skip !== false) {
          yield `- ${fileOf(data)}: ${data.name} # SKIP ${data.skip === true ? '' : data.skip}\n`
        }
        if (data.nesting === 0) {
          if (group?.holds(data) !== true) {
            if (group !== undefined) yield group.line
            group = new Group(data)
          }
          group.add(data, book.takeInside(), type === 'test:pass')
        }
        if (type === 'test:pass' || data.details.error?.failureType === 'subtestsFailed') break
        const failure = failureOf(data, unfinished)
        failures.push(failure)
        yield failure
        break
      }
      case 'test:stdout':
      case 'test:stderr':
        yield data.message
        break
      case 'test:diagnostic':
        if (group !== undefined && closing.test(data.message)) {
          yield group.line
          group = undefined
        }
        yield `# ${data.message}\n`
        break
      default:
    }
  }
  if (failures.length > 0) yield `\n# failed:\n${failures.join('')}`
}

/** Top-level tests that follow each other and share a line: those of one file, or of one `area/` in it. */
class Group {
  #file
  #area
  #first
  #members = 0
  #tests = 0
  #ms = 0
  #passed = true

  /** @param {TestData} data */
  constructor(data) {
    this.#file = fileOf(data)
    this.#area = areaOf(data)
    this.#first = data.name
  }

  get line() {
    const name = this.#members === 1 ? `: ${this.#first}` : this.#area === '' ? '' : `: ${this.#area}`
    const count = `${this.#tests} ${this.#tests === 1 ? 'test' : 'tests'}`
    return `${this.#passed ? 'ok' : 'not ok'} ${this.#file}${name} (${count}, ${(this.#ms / 1000).toFixed(1)} s)\n`
  }

  /** @param {TestData} data */
  holds(data) {
    return fileOf(data) === this.#file && areaOf(data) === this.#area
  }

  /**
   * @param {TestData} data
   * @param {number} inside the tests that it consists of; 0 = it is one itself
   * @param {boolean} passed
   */
  add(data, inside, passed) {
    this.#members++
    this.#tests += inside === 0 ? 1 : inside
    this.#ms += data.details.duration_ms
    this.#passed &&= passed
  }
}

/** @param {TestData} data */
function areaOf({ name }) {
  return /^[\w-]+\/[\w-]+(?=\s)/.exec(name)?.[0] ?? ''
}

/** What is known of a file's tests so far. */
class Book {
  /** Tests that ended inside the present top-level one. */
  #inside = 0
  /** @type {Map<string, number>} */
  #open = new Map()

  /** @param {string} name */
  begin(name) {
    this.#open.set(name, (this.#open.get(name) ?? 0) + 1)
  }

  /**
   * @param {TestData} data
   * @returns {string[]} the tests that have begun and not ended
   */
  end({ name, nesting, details }) {
    const left = (this.#open.get(name) ?? 1) - 1
    if (left > 0) this.#open.set(name, left)
    else this.#open.delete(name)
    if (nesting > 0 && details.type !== 'suite') this.#inside++
    return [...this.#open.keys()]
  }

  /** How many tests the top-level one consisted of that ends now. */
  takeInside() {
    const inside = this.#inside
    this.#inside = 0
    return inside
  }
}

/**
 * @param {Map<string, Book>} books
 * @param {TestData} data
 */
function bookOf(books, data) {
  const file = fileOf(data)
  const book = books.get(file) ?? new Book()
  books.set(file, book)
  return book
}

/** @param {TestData} data */
function fileOf({ file }) {
  return file === undefined ? '' : relative(root, file)
}

/**
 * @param {TestData} data
 * @param {readonly string[]} unfinished
 */
function failureOf(data, unfinished) {
  const { error } = data.details
  const cause = error?.cause ?? error
  const text = typeof cause === 'string' ? cause : inspect(cause)
  const note = error?.failureType === 'testTimeoutFailure' ? `\n  ${hangOf(data, unfinished)}` : ''
  return `not ok ${fileOf(data)}: ${data.name}\n  ${text.replaceAll('\n', '\n  ')}${note}\n`
}

/**
 * @param {TestData} data
 * @param {readonly string[]} unfinished
 */
function hangOf(data, unfinished) {
  const hung = unfinished.filter((name) => name !== data.name)
  if (hung.length === 0) return 'all its tests ended, but the process did not'
  return `not ended: ${hung.slice(0, namedHangs).join(' | ')}`
}

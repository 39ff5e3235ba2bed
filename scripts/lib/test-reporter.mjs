/**
 * Reporter for `node --test`: one line for each top-level test with the number of tests in it, every failure in full,
 * every skip with its reason, what tests print, and node's closing lines (`# tests 12`).
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

/** How many hung tests are named. */
const namedHangs = 10

/**
 * @param {AsyncIterable<{ type: string, data: TestData }>} source
 * @returns {AsyncGenerator<string>}
 */
// biome-ignore lint/style/noDefaultExport: node takes a reporter that way
export default async function* report(source) {
  const books = new Map()
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
        const line = lineOf(type, data, book)
        if (line !== '') yield line
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
        yield `# ${data.message}\n`
        break
      default:
    }
  }
  if (failures.length > 0) yield `\n# failed:\n${failures.join('')}`
}

/** What is known of a file's tests so far. */
class Book {
  /** Tests that ended inside the present top-level one. */
  inside = 0
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
    if (nesting > 0 && details.type !== 'suite') this.inside++
    return [...this.#open.keys()]
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
 * @param {string} type
 * @param {TestData} data
 * @param {Book} book
 */
function lineOf(type, data, book) {
  if (data.skip !== undefined && data.skip !== false) {
    return `- ${fileOf(data)}: ${data.name} # SKIP ${data.skip === true ? '' : data.skip}\n`
  }
  if (data.nesting > 0) return ''
  const count = book.inside > 0 ? `${book.inside} tests, ` : ''
  book.inside = 0
  const seconds = (data.details.duration_ms / 1000).toFixed(1)
  return `${type === 'test:pass' ? 'ok' : 'not ok'} ${fileOf(data)}: ${data.name} (${count}${seconds} s)\n`
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

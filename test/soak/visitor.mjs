/** One connection of a visitor, which checks what it receives. */
import { connect } from 'node:net'
import { bytesAt, checkBytes } from './service.mjs'

/** Limit for anything to come. Only a fault meets it. */
const patienceMs = 30_000

/** A visitor's connection; its first byte is its wish. */
export class Visitor {
  /** Resolves when it is closed, with the code of its error or ''. */
  closed
  #socket
  #sent = 0
  #received = 0
  #ended = false
  /** @type {Set<() => void>} */
  #watchers = new Set()
  /** @type {unknown} */
  #fault

  /** @param {number} port @param {string} wish */
  constructor(port, wish) {
    this.#socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true, noDelay: true })
    this.#socket.write(wish)
    let code = ''
    this.#socket.on('error', (error) => {
      code = 'code' in error ? String(error.code) : error.message
    })
    this.#socket.on('data', (chunk) => this.#take(chunk))
    this.#socket.on('end', () => {
      this.#ended = true
      this.#wake()
    })
    /** @type {Promise<string>} */
    this.closed = new Promise((resolve) => {
      this.#socket.on('close', () => {
        resolve(code)
        this.#wake()
      })
    })
  }

  /** Sends so many bytes more. @param {number} length */
  send(length) {
    this.#socket.write(bytesAt(this.#sent, length))
    this.#sent += length
  }

  /** Sends them and awaits them back. @param {number} length */
  async exchange(length) {
    this.send(length)
    await this.received(() => this.#received === this.#sent)
  }

  /** Sends FIN, awaits the rest and the other's FIN. */
  async finish() {
    this.#socket.end()
    await this.received(() => this.#ended && this.#received === this.#sent)
    await this.closed
  }

  /** Resets. */
  reset() {
    this.#socket.resetAndDestroy()
  }

  /** Awaits the other side's reset, or whatever a TLS tunnel makes of it. */
  async gone() {
    await this.received(() => this.#socket.destroyed || this.#ended)
    this.#socket.destroy()
  }

  /** @param {() => boolean} enough */
  received(enough) {
    return new Promise((resolve, reject) => {
      const settle = () => {
        this.#watchers.delete(look)
        clearTimeout(timer)
      }
      const state = () => `${this.#sent} bytes sent, ${this.#received} received`
      const look = () => {
        if (this.#fault !== undefined) {
          settle()
          reject(this.#fault)
        } else if (enough()) {
          settle()
          resolve(undefined)
        } else if (this.#socket.destroyed) {
          settle()
          reject(new Error(`the connection ended early: ${state()}`))
        }
      }
      const timer = setTimeout(() => {
        settle()
        reject(new Error(`nothing more came within ${patienceMs / 1_000} s: ${state()}`))
      }, patienceMs)
      this.#watchers.add(look)
      look()
    })
  }

  /** @param {Buffer} chunk */
  #take(chunk) {
    try {
      checkBytes(chunk, this.#received)
    } catch (error) {
      this.#fault = error
    }
    this.#received += chunk.length
    this.#wake()
  }

  #wake() {
    for (const watcher of this.#watchers) watcher()
  }
}

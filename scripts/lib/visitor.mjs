/** Visitors of the tunnels that `npm start` opens: they send real requests and compare what comes back. */
import { createHash, randomBytes } from 'node:crypto'
import { get as getPlain } from 'node:http'
import { get as getSecure } from 'node:https'
import { connect } from 'node:net'
import { Failure } from './project.mjs'

/** Limit for a visit without a byte moving. */
const idleMs = 60_000
/** Size of what is written at once. */
const blockBytes = 256 * 1024

/**
 * GETs a page by its public URL, on loopback whatever the name resolves to.
 * @param {URL} url
 * @param {string} ca PEM of the relay's certificate
 * @returns {Promise<string>} the body; rejects with a Failure unless it is the sample service's answer to this request
 */
export async function visitPage(url, ca) {
  const path = `/check?${randomBytes(8).toString('hex')}`
  const { status, body } = await get(url, path, ca)
  if (status !== 200) throw new Failure(`GET ${url.origin}${path}: status ${status}\n${body}`)
  if (!body.includes(`GET ${path}\n`)) throw new Failure(`GET ${url.origin}${path}: another page came back:\n${body}`)
  return body
}

/**
 * @param {URL} url
 * @param {string} path
 * @param {string} ca
 * @returns {Promise<{ status: number | undefined, body: string }>}
 */
function get(url, path, ca) {
  const tls = url.protocol === 'https:'
  const target = { host: '127.0.0.1', port: url.port, path, headers: { host: url.host } }
  const options = tls ? { ...target, servername: url.hostname, ca } : target
  return new Promise((resolve, reject) => {
    const request = (tls ? getSecure : getPlain)(options, (response) => {
      /** @type {Buffer[]} */
      const chunks = []
      response.on('data', (chunk) => chunks.push(chunk))
      response.on('error', reject)
      response.on('end', () => resolve({ status: response.statusCode, body: Buffer.concat(chunks).toString() }))
    })
    request.setTimeout(idleMs, () => request.destroy(new Error(`no byte for ${idleMs / 1000} s`)))
    request.on('error', (error) => reject(new Failure(`GET ${url.origin}${path}: ${error.message}`)))
  })
}

/**
 * Sends random bytes to the echo, half-closes, and reads until the end.
 * @param {number} port on 127.0.0.1
 * @param {number} bytes
 * @returns {Promise<{ sent: string, received: string, receivedBytes: number, seconds: number }>} SHA-256 of both ways
 */
export function visitEcho(port, bytes) {
  return new Promise((resolve, reject) => {
    const started = process.hrtime.bigint()
    const sent = createHash('sha256')
    const received = createHash('sha256')
    let receivedBytes = 0
    const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true })
    socket.setTimeout(idleMs, () => socket.destroy(new Error(`no byte for ${idleMs / 1000} s`)))
    socket.on('error', (error) =>
      reject(new Failure(`tcp 127.0.0.1:${port}: ${error.message} (${receivedBytes} back)`)),
    )
    socket.on('data', (chunk) => {
      receivedBytes += chunk.length
      received.update(chunk)
    })
    socket.on('end', () => {
      socket.destroy()
      const seconds = Number(process.hrtime.bigint() - started) / 1e9
      resolve({ sent: sent.digest('hex'), received: received.digest('hex'), receivedBytes, seconds })
    })
    let left = bytes
    const send = () => {
      while (left > 0) {
        const block = randomBytes(Math.min(left, blockBytes))
        left -= block.length
        sent.update(block)
        if (!socket.write(block)) {
          socket.once('drain', send)
          return
        }
      }
      socket.end()
    }
    socket.once('connect', send)
  })
}

/** One visit through a tunnel, checked from both ends: what came back, and what relay and agent say they moved. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { certificate } from './loopback.mjs'
import { Failure, root } from './project.mjs'
import { visitEcho, visitPage } from './visitor.mjs'

/** @typedef {import('./loopback.mjs').Loopback} Loopback */
/** @typedef {import('./loopback.mjs').Tunnel} Tunnel */

/**
 * What one process says of a join.
 * @typedef {object} Ended
 * @property {number} bytesIn visitor → service
 * @property {number} bytesOut service → visitor
 * @property {string} pathIn
 * @property {string} pathOut
 * @property {number} spliced bytes of both directions
 * @property {string} reason
 */

/**
 * @typedef {object} Visit
 * @property {Tunnel} tunnel
 * @property {string} what came back, in words
 * @property {Ended} relay
 * @property {Ended} agent
 */

/**
 * Visits a tunnel: a page of an HTTP one, an echo of a TCP one.
 * @param {Loopback} loopback
 * @param {Tunnel} tunnel
 * @param {number} echoBytes
 * @returns {Promise<Visit>} rejects with a Failure when anything is not as it was sent
 */
export async function visit(loopback, tunnel, echoBytes) {
  const marks = { relay: loopback.relay.mark, agent: tunnel.agent.mark }
  const what = await (tunnel.kind === 'tcp' ? echo(loopback, tunnel, echoBytes) : page(tunnel))
  const [relay, agent] = await Promise.all([
    joinEnd(loopback.relay, tunnel, marks.relay),
    joinEnd(tunnel.agent, tunnel, marks.agent),
  ])
  if (tunnel.kind === 'tcp') {
    for (const { bytesIn, bytesOut, reason } of [relay, agent]) {
      if (bytesIn === echoBytes && bytesOut === echoBytes && reason === 'eof') continue
      throw new Failure(
        `${tunnel.address}: join.end counts ${bytesIn} in, ${bytesOut} out (${reason}), not ${echoBytes}`,
      )
    }
  }
  return { tunnel, what, relay, agent }
}

/** @param {Tunnel} tunnel */
async function page(tunnel) {
  const body = await visitPage(tunnel.url, readFileSync(join(root, certificate), 'utf8'))
  return `200, ${body.length} bytes`
}

/**
 * @param {Loopback} loopback
 * @param {Tunnel} tunnel
 * @param {number} bytes
 */
async function echo({ service }, tunnel, bytes) {
  const mark = service.mark
  const { sent, received, receivedBytes, seconds } = await visitEcho(Number(tunnel.url.port), bytes)
  const at = await service.waitFor(
    'service.echoed',
    (entry) => entry['bytes'] === bytes || entry['sha256'] === sent,
    mark,
  )
  if (at['sha256'] !== sent) throw new Failure(`${tunnel.address}: the service received other bytes than were sent`)
  if (received !== sent) {
    throw new Failure(`${tunnel.address}: sent ${bytes} bytes, got ${receivedBytes} back, and they are not the same`)
  }
  return `${mebibytes(bytes)} each way in ${seconds.toFixed(2)} s, SHA-256 ${sent.slice(0, 16)}… at all three points`
}

/**
 * @param {import('./child.mjs').Child} child
 * @param {Tunnel} tunnel
 * @param {number} mark
 * @returns {Promise<Ended>}
 */
async function joinEnd(child, tunnel, mark) {
  const entry = await child.waitFor('join.end', ({ url }) => url === tunnel.address, mark)
  return {
    bytesIn: Number(entry['bytesIn']),
    bytesOut: Number(entry['bytesOut']),
    pathIn: String(entry['pathIn']),
    pathOut: String(entry['pathOut']),
    spliced: Number(entry['splicedIn']) + Number(entry['splicedOut']),
    reason: String(entry['reason']),
  }
}

/** @param {number} bytes */
export function mebibytes(bytes) {
  return bytes >= 1 << 20 ? `${(bytes / (1 << 20)).toFixed(1).replace('.0', '')} MiB` : `${bytes} bytes`
}

/**
 * How a process moved a visit's bytes, in words.
 * @param {Ended} end
 */
export function pathOf({ pathIn, pathOut, spliced }) {
  const path = pathIn === pathOut ? pathIn : `${pathIn} in, ${pathOut} out`
  return spliced > 0 ? `${path}, ${mebibytes(spliced)} spliced` : path
}

/** Starts relay, sample service and agents on free loopback ports, as the command line would. */
import { createHash, randomBytes } from 'node:crypto'
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Child } from './child.mjs'
import { root } from './project.mjs'

/** The state folder, relative to the checkout. */
export const stateFolder = '.millrace'
/** Where the relay puts its certificate, relative to the checkout. */
export const certificate = `${stateFolder}/relay/relay.crt`
/**
 * Public names end in this. A name of two parts, as clients refuse a certificate for the wildcard of a single one
 * (`*.localhost`).
 */
const domain = 'millrace.localhost'

/**
 * @typedef {object} Tunnel
 * @property {'http' | 'https' | 'tcp'} kind
 * @property {boolean} plain whether its proxy connections are plain TCP
 * @property {string} address the public address as announced
 * @property {URL} url the same, taken apart
 * @property {Child} agent
 */

/**
 * @typedef {object} Loopback
 * @property {Child} relay
 * @property {Child} service
 * @property {readonly Child[]} children
 * @property {readonly Tunnel[]} tunnels
 */

/**
 * Starts everything and waits until all tunnels are up.
 * @param {(child: Child) => void} onChild is told of each process as soon as it exists, so that it can be ended
 * @returns {Promise<Loopback>}
 */
export async function startLoopback(onChild) {
  const { config, tokenFile } = prepareState()
  /** @type {Child[]} */
  const children = []
  /** @param {string} name @param {readonly string[]} args */
  const start = (name, args) => {
    const child = new Child(name, args, { logFile: join(root, stateFolder, `${name}.log`) })
    children.push(child)
    onChild(child)
    return child
  }
  const cli = join(root, 'dist/cli/main.js')
  const json = ['--log-format', 'json']

  const service = start('service', [join(root, 'scripts/sample-service.mjs')])
  const relayState = ['--config', config, '--state-dir', join(root, stateFolder, 'relay')]
  const anyPort = '127.0.0.1:0'
  const addresses = ['--tunnel-addr', anyPort, '--http-addr', anyPort, '--https-addr', anyPort, '--domain', domain]
  const relay = start('relay', [cli, 'relay', ...relayState, ...addresses, '--allow-plain', ...json])
  const listening = await relay.waitFor('relay.listening', ({ role }) => role === 'tunnel')
  const ports = await service.waitFor('service.listening')
  const [web, echo] = [`127.0.0.1:${Number(ports['http'])}`, `127.0.0.1:${Number(ports['tcp'])}`]

  const relayOptions = [
    '--relay',
    String(listening['address']),
    '--token-file',
    tokenFile,
    '--ca',
    join(root, certificate),
  ]
  /** @param {string} name @param {readonly string[]} args */
  const startAgent = (name, args) => start(name, [cli, ...args, ...relayOptions, ...json])
  const http = startAgent('agent-http', ['http', web, '--subdomain', 'hello'])
  const tcp = startAgent('agent-tcp', ['tcp', echo])
  const plain = startAgent('agent-tcp-plain', ['tcp', echo, '--plain'])
  const tunnels = await Promise.all([
    tunnel(http, 'http', false),
    tunnel(http, 'https', false),
    tunnel(tcp, 'tcp', false),
    tunnel(plain, 'tcp', true),
  ])
  return { relay, service, children, tunnels }
}

/**
 * @param {Child} agent
 * @param {Tunnel['kind']} kind
 * @param {boolean} plain
 * @returns {Promise<Tunnel>}
 */
async function tunnel(agent, kind, plain) {
  const up = await agent.waitFor('tunnel.up', ({ url }) => String(url).startsWith(`${kind}:`))
  const address = String(up['url'])
  return { kind, plain, address, url: new URL(address), agent }
}

/** Makes the state folder, a token once, and the relay's configuration, all for their owner only. */
function prepareState() {
  const folder = join(root, stateFolder)
  mkdirSync(folder, { recursive: true })
  chmodSync(folder, 0o700)
  const tokenFile = join(folder, 'token')
  if (!existsSync(tokenFile)) writeFileSync(tokenFile, `${randomBytes(32).toString('base64url')}\n`, { mode: 0o600 })
  const token = readFileSync(tokenFile, 'utf8').trim()
  const config = join(folder, 'relay.yaml')
  const sha256 = createHash('sha256').update(token).digest('hex')
  writeFileSync(config, `tokens:\n  - name: development\n    sha256: ${sha256}\n`, { mode: 0o600 })
  return { config, tokenFile }
}

/** Relay and agents of a soak, in a folder of their own: `npm start` may run beside it. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Child } from '../../scripts/lib/child.mjs'
import { root } from '../../scripts/lib/project.mjs'
import { startService } from './service.mjs'

const probe = fileURLToPath(new URL('probe.mjs', import.meta.url))

/**
 * @param {string} folder for state and logs
 * @param {number} sampleMs how often each process tells of itself
 * @param {(child: Child) => void} onChild is told of each process as soon as it exists
 */
export async function startStage(folder, sampleMs, onChild) {
  mkdirSync(folder, { recursive: true })
  const env = { ...process.env, MILLRACE_SOAK_SAMPLE_MS: String(sampleMs) }
  /** @type {{ name: string, child: Child }[]} */
  const processes = []
  /** @param {string} name @param {readonly string[]} words */
  const start = (name, words) => {
    const args = ['--import', probe, join(root, 'dist/cli/main.js'), ...words, '--log-format', 'json']
    const child = new Child(name, args, { logFile: join(folder, `${name}.log`), env })
    processes.push({ name, child })
    onChild(child)
    return child
  }
  const { server, port } = await startService()
  const state = join(folder, 'relay')
  const relay = start('relay', [
    'relay',
    '--open',
    '--allow-plain',
    '--tunnel-addr',
    '127.0.0.1:0',
    '--state-dir',
    state,
  ])
  const listening = await relay.waitFor('relay.listening', ({ role }) => role === 'tunnel')
  const target = ['tcp', `127.0.0.1:${port}`, '--relay', String(listening['address']), '--ca', join(state, 'relay.crt')]
  const agents = [
    { name: 'plain', child: start('agent, plain', [...target, '--plain']) },
    { name: 'TLS', child: start('agent, TLS', target) },
  ]
  const tunnels = await Promise.all(
    agents.map(async ({ name, child }) => {
      const up = await child.waitFor('tunnel.up')
      return { name, port: Number(new URL(String(up['url'])).port) }
    }),
  )
  return { processes, tunnels, server }
}

import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { describe, it, type TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../..', import.meta.url))
const linux = existsSync('/proc/self/stat')

/** `npm start`'s script, in a process group of its own, once it says how to stop it. */
async function start(t: TestContext): Promise<{ readonly child: ChildProcess; readonly group: number }> {
  const child = spawn(process.execPath, ['scripts/start.mjs'], {
    cwd: root,
    detached: true,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const group = child.pid
  assert(group !== undefined)
  t.after(() => {
    if (membersOf(group).length > 0) process.kill(-group, 'SIGKILL')
  })
  for await (const line of createInterface({ input: child.stdout })) {
    if (line.includes('Stop with Ctrl-C')) return { child, group }
  }
  throw new Error('npm start ended before its tunnels were up')
}

/** The processes of a group that are still there, zombies aside: their ids and command lines. */
function membersOf(group: number): readonly { readonly pid: number; readonly command: string }[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        const stat = readFileSync(`/proc/${name}/stat`, 'utf8')
        const [state, , pgrp] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
        if (Number(pgrp) !== group || state === 'Z') return []
        return [{ pid: Number(name), command: readFileSync(`/proc/${name}/cmdline`, 'utf8').replaceAll('\0', ' ') }]
      } catch {
        return [] // gone meanwhile
      }
    })
}

describe('npm start', { skip: linux ? false : 'it looks at /proc' }, () => {
  it('SIGINT to the script alone ends everything, with exit code 0', async (t) => {
    const { child, group } = await start(t)
    assert(membersOf(group).length >= 5, 'script, service, relay and agents run')
    child.kill('SIGINT')
    assert.deepEqual(await once(child, 'exit'), [0, null])
    assert.deepEqual(membersOf(group), [])
  })

  it('Ctrl-C, which goes to the whole group, does too', async (t) => {
    const { child, group } = await start(t)
    process.kill(-group, 'SIGINT')
    assert.deepEqual(await once(child, 'exit'), [0, null])
    assert.deepEqual(membersOf(group), [])
  })

  it('a child that dies takes the rest with it, with exit code 1', async (t) => {
    const { child, group } = await start(t)
    const relay = membersOf(group).find(({ command }) => command.includes('main.js relay'))
    assert(relay !== undefined)
    process.kill(relay.pid, 'SIGKILL')
    assert.deepEqual(await once(child, 'exit'), [1, null])
    assert.deepEqual(membersOf(group), [])
  })

  it('the death of the script itself ends the others', async (t) => {
    const { child, group } = await start(t)
    child.kill('SIGKILL')
    await once(child, 'exit')
    // Nobody reports the end of orphans: look again until they are gone; the runner's limit ends a failure.
    while (membersOf(group).length > 0) await new Promise((resolve) => setTimeout(resolve, 50))
  })
})

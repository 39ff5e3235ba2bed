import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { agentSchema } from '../../src/config/agent-schema.ts'
import { relaySchema } from '../../src/config/relay-schema.ts'
import { keysAt } from '../../src/config/schema-keys.ts'

const text = readFileSync(new URL('../../docs/relay-config.md', import.meta.url), 'utf8')
const [settings = ''] = text.split('## Limits')

/** The keys in the first column of a table. */
const keysOf = (part: string): readonly string[] =>
  [...part.matchAll(/^\| (`[^|]*`) \|/gm)].flatMap(([, cell = '']) =>
    [...cell.matchAll(/`(\w+)`/g)].map(([, key = '']) => key),
  )

describe('docs/agent-config.md', () => {
  it('has every key of the config file and of its tunnels, and no other', () => {
    const agent = readFileSync(new URL('../../docs/agent-config.md', import.meta.url), 'utf8')
    const [session = '', tunnels = ''] = agent.split('## Tunnels')
    assert.deepEqual([...keysOf(session)].sort(), Object.keys(agentSchema.shape).sort())
    assert.deepEqual([...keysOf(tunnels)].sort(), [...keysAt(agentSchema, ['tunnels', 'x'])].sort())
  })
})

describe('docs/relay-config.md', () => {
  it('has every key of the config file, and no other', () => {
    assert.deepEqual([...keysOf(settings)].sort(), Object.keys(relaySchema.shape).sort())
  })
})

import { strict as assert } from 'node:assert'
import type { EndReason } from '../../../src/dataplane/types.ts'
import { eventually } from '../../contract/harness/wait.ts'
import { type Arena, type Attack, attack, hostile } from './hostile.ts'
import { contentType } from './records.ts'
import { type Sealer, Sealer13 } from './sealer.ts'
import type { Version } from './wire.ts'

/** What a strike works with. `keys` is the same sealer where it is one of TLS 1.3. */
export interface Striker {
  readonly sealer: Sealer
  readonly attack: Attack
  readonly arena: Arena
  readonly near: 'server' | 'client'
  readonly version: Version
  /** Sealed application data. */
  readonly data: (text: string | Uint8Array) => Buffer
  /** The keys of TLS 1.3. */
  readonly keys: () => Sealer13
}

/** Something that a peer does in the middle of a connection. */
export interface Strike {
  readonly name: string
  /** Default both. */
  readonly versions?: readonly Version[]
  /** What the endpoint is. Default both. */
  readonly near?: readonly ('server' | 'client')[]
  /**
   * `refused`: the join ends, whoever is on its other side gets a reset and nothing of what comes from the strike on.
   * `borne`: bytes go on as if nothing had been. `either`: one of the two, as the TLS library has it.
   */
  readonly becomes: 'refused' | 'borne' | 'either'
  /** Sends it. What it returns are bytes that must still be delivered. */
  readonly strike: (striker: Striker) => Promise<string> | string | Promise<void>
}

const before = 'what came before. '
const behind = 'what comes behind.'
const refusals: readonly EndReason[] = ['error', 'reset']

/** Registers a strike for each version and role that it knows. */
export function register(strike: Strike): void {
  for (const version of strike.versions ?? (['TLSv1.2', 'TLSv1.3'] as const)) {
    for (const near of strike.near ?? (['server', 'client'] as const)) {
      hostile(`${strike.name}, ${version}, as ${near}`, (arena) => run(arena, strike, version, near))
    }
  }
}

async function run(arena: Arena, one: Strike, version: Version, near: 'server' | 'client'): Promise<void> {
  const target = await attack(arena, { near, version })
  const { wire, plain } = target
  const sealer = await wire.takeOver()
  const { handshakes } = wire
  const data = (text: string | Uint8Array): Buffer => sealer.seal(contentType.data, Buffer.from(text))
  const keys = (): Sealer13 => {
    assert.ok(sealer instanceof Sealer13)
    return sealer
  }
  await wire.inject(data(before))
  await eventually('the first words are there', () => plain.bytes().length === before.length)
  const delivered = await one.strike({ sealer, attack: target, arena, near, version, data, keys })
  await wire.inject(data(behind))
  const good = before + (typeof delivered === 'string' ? delivered : '')
  const heard = (): string => plain.bytes().toString('latin1')
  await eventually(
    () => `it is refused or borne; ${heard().length} bytes, plain ${plain.end()}, wire ${wire.end} ${wire.failure}`,
    () => plain.end() !== '' || heard().length >= good.length + behind.length,
  )
  assert.equal(wire.handshakes, handshakes, 'nobody is led into a second handshake')
  if (plain.end() === '') {
    assert.notEqual(one.becomes, 'refused', `it was borne: ${heard()}`)
    assert.equal(heard(), good + behind)
    arena.note(`borne; told ${wire.failure || 'nothing'}`)
    return
  }
  const result = await target.ended()
  assert.notEqual(one.becomes, 'borne', `it was refused: ${result.reason} ${result.errno}`)
  assert.ok(refusals.includes(result.reason), result.reason)
  assert.equal(heard(), good, 'what came before is good, and nothing else comes')
  assert.notEqual(plain.end(), 'fin', 'a broken connection is not a complete one')
  await wire.untilOver()
  arena.note(`${result.reason} ${result.errno}; told ${wire.failure || 'nothing'}, then ${wire.end}`)
}

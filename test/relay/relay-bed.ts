import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import {
  controlSocketName,
  defaultLimits,
  defaultSettings,
  type RelayLimits,
  type RelaySettings,
  tokensFileName,
} from '../../src/config/relay-settings.ts'
import { createDataPlane } from '../../src/dataplane/create.ts'
import type { RelayRole } from '../../src/relay/inheritance.ts'
import { Relay } from '../../src/relay/relay.ts'
import { LogTap } from './log-tap.ts'
import { TestAgent, type TestAgentOptions } from './test-agent.ts'

/** The token that every bed's relay knows. */
export const token = 'a token of a test'

export const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')

/** What differs from a relay with one token, http and https on loopback. */
export interface BedOptions extends Omit<Partial<RelaySettings>, 'limits'> {
  readonly limits?: Partial<RelayLimits>
}

/** A relay on loopback, its log, and what belongs to it; gone when the test ends. */
export class RelayBed {
  readonly relay: Relay
  readonly tap: LogTap
  readonly settings: RelaySettings
  readonly #agents: TestAgent[] = []

  constructor(relay: Relay, tap: LogTap, settings: RelaySettings) {
    this.relay = relay
    this.tap = tap
    this.settings = settings
  }

  /** The config's tokens are these from now on. */
  async reloadTokens(tokens: RelaySettings['tokens']): Promise<void> {
    await this.relay.reload({ ...this.settings, tokens })
  }

  /** `without` are settings that are not given at all. */
  static async start(
    t: TestContext,
    options: BedOptions = {},
    without: readonly (keyof RelaySettings)[] = [],
    dataPlane = createDataPlane(),
  ): Promise<RelayBed> {
    const stateDir = options.stateDir ?? (await mkdtemp(join(tmpdir(), 'millrace-relay-')))
    const settings: RelaySettings = {
      ...defaultSettings(),
      tunnelAddr: { host: '127.0.0.1', port: 0 },
      httpAddr: { host: '127.0.0.1', port: 0 },
      httpsAddr: { host: '127.0.0.1', port: 0 },
      tokens: [{ name: 'test', sha256: sha256(token) }],
      tokensFile: join(stateDir, tokensFileName),
      controlSocket: join(stateDir, controlSocketName),
      ...options,
      stateDir,
      limits: { ...defaultLimits, ...options.limits },
    }
    for (const key of without) Reflect.deleteProperty(settings, key)
    const tap = new LogTap()
    const relay = await Relay.start({ settings, dataPlane, log: tap.log })
    const bed = new RelayBed(relay, tap, settings)
    t.after(async () => {
      for (const agent of bed.#agents) agent.destroy()
      await relay.stop(0)
      if (options.stateDir === undefined) await rm(stateDir, { recursive: true, force: true })
    })
    return bed
  }

  port(role: RelayRole): number {
    const address = this.relay.address(role)
    assert(address !== undefined && address.family !== 'unix', `the relay listens for ${role}`)
    return address.port
  }

  /** An agent that has been let in. */
  async agent(options: TestAgentOptions = {}): Promise<TestAgent> {
    const agent = await TestAgent.connect(this.port('tunnel'), { token, ...options })
    this.#agents.push(agent)
    return agent
  }
}

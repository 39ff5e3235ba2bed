import { dirname } from 'node:path'
import type { Agent } from '../agent/agent.ts'
import type { TunnelSpec } from '../agent/options.ts'
import { agentConfig, defaultAgentFile } from '../config/agent-config.ts'
import { FolderWatch } from '../folder-watch.ts'
import type { Logger } from '../observe/log.ts'
import { runAgent } from './agent-run.ts'
import { CommandFailure, exitCodes } from './exit.ts'
import type { StartFlags } from './start.ts'
import { tunnelSpecs } from './tunnel-specs.ts'

/** Runs an agent with tunnels of a config file, which it follows. Resolves with the exit code. */
export async function startTunnels(names: readonly string[] | 'all', flags: StartFlags): Promise<number> {
  const read = async (): Promise<Loaded> => {
    const config = await agentConfig(flags.config)
    if (config === undefined) throw new CommandFailure(`there is no ${defaultAgentFile()}: give --config FILE`)
    const { tunnels: _, ...session } = config.given
    return { specs: await tunnelSpecs(config.file, config.given, names), session: JSON.stringify(session), ...config }
  }
  const first = await read()
  if (flags.check === true) {
    process.stdout.write(`${first.file}: right, ${first.specs.length} tunnels\n`)
    return exitCodes.ok
  }
  return await runAgent(flags, first.specs, (agent, log) => {
    const follower = new Follower(first, read, agent, log)
    return () => follower.close()
  })
}

interface Loaded {
  readonly file: string
  readonly specs: readonly TunnelSpec[]
  /** All that is no tunnel. */
  readonly session: string
}

/** Applies the file to a running agent after each change, and on SIGHUP. */
class Follower {
  readonly #read: () => Promise<Loaded>
  readonly #agent: Agent
  readonly #log: Logger
  readonly #session: string
  readonly #watch: FolderWatch
  /** What was last read: the same fault is told once. */
  #last: string
  #running: Promise<void> = Promise.resolve()

  constructor(first: Loaded, read: () => Promise<Loaded>, agent: Agent, log: Logger) {
    this.#read = read
    this.#agent = agent
    this.#log = log
    this.#session = first.session
    this.#last = JSON.stringify([first.specs, first.session])
    this.#watch = new FolderWatch([dirname(first.file)], this.#look)
    process.on('SIGHUP', this.#look)
  }

  close(): void {
    this.#watch.close()
    process.off('SIGHUP', this.#look)
  }

  readonly #look = (): void => {
    this.#running = this.#running.then(() => this.#apply())
  }

  async #apply(): Promise<void> {
    try {
      const { file, session, specs } = await this.#read()
      const now = JSON.stringify([specs, session])
      if (now === this.#last) return
      this.#last = now
      const { added, removed } = this.#agent.setTunnels(specs)
      this.#log.info('config.reloaded', { file, added, removed })
      if (session === this.#session) return
      this.#log.warn('config.restart', { file }, 'what is not of tunnels counts after a restart')
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error)
      if (text === this.#last) return
      this.#last = text
      this.#log.error('config.refused', { error: text }, 'all stays as it was')
    }
  }
}

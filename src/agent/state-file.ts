import { createHash, randomBytes } from 'node:crypto'
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { PidLock } from '../pid-lock.ts'

/** An address that a relay gave to a tunnel that had asked for none in particular. */
export interface TunnelAddress {
  /** '' for none. */
  readonly host: string
  /** 0 for none. */
  readonly port: number
}

/** What an agent keeps over its own restart, so that it is the same agent with the same addresses afterwards. */
export interface AgentMemory {
  /** A secret on an open relay. */
  readonly clientId: string
  /** One for each tunnel, in their order. */
  readonly addresses: readonly TunnelAddress[]
}

/**
 * The memory of one agent in a folder, mode 0600, replaced atomically. Of several agents with the same relay and the
 * same tunnels only the first has it: two that claim to be the same agent would take over from each other for ever.
 */
export class StateFile {
  readonly #file: string
  readonly #lock: PidLock
  #saving: Promise<void> = Promise.resolve()

  /** `purpose` tells agents apart: the relay's address and what the tunnels are. */
  constructor(folder: string, purpose: string) {
    const name = createHash('sha256').update(purpose).digest('hex').slice(0, 32)
    this.#file = join(folder, `agent-${name}.json`)
    this.#lock = new PidLock(join(folder, `agent-${name}.lock`))
  }

  /**
   * Takes the memory: what was saved, an empty one when nothing was or it is damaged; undefined when another live agent
   * has it. Rejects with the system's error when the folder can't be used.
   */
  async open(): Promise<AgentMemory | undefined> {
    await mkdir(join(this.#file, '..'), { recursive: true, mode: 0o700 })
    if (!(await this.#lock.take())) return undefined
    const saved: unknown = await readFile(this.#file, 'utf8')
      .then(JSON.parse)
      .catch(() => undefined)
    return parseMemory(saved) ?? { clientId: '', addresses: [] }
  }

  /** Saves, when this agent has the memory. Rejects with the system's error. */
  async save(memory: AgentMemory): Promise<void> {
    if (!this.#lock.held) return
    this.#saving = this.#saving.catch(() => undefined).then(() => this.#write(memory))
    await this.#saving
  }

  /** Leaves the memory to the next agent. */
  async close(): Promise<void> {
    await this.#saving.catch(() => undefined)
    await this.#lock.release()
  }

  async #write(memory: AgentMemory): Promise<void> {
    const temporary = `${this.#file}.${randomBytes(4).toString('hex')}`
    try {
      await writeFile(temporary, `${JSON.stringify(memory)}\n`, { mode: 0o600, flag: 'wx' })
      await rename(temporary, this.#file)
    } catch (error) {
      await rm(temporary, { force: true })
      throw error
    }
  }
}

function parseMemory(saved: unknown): AgentMemory | undefined {
  if (typeof saved !== 'object' || saved === null) return undefined
  const clientId: unknown = Reflect.get(saved, 'clientId')
  const addresses: unknown = Reflect.get(saved, 'addresses')
  if (typeof clientId !== 'string' || !Array.isArray(addresses)) return undefined
  return { clientId, addresses: addresses.map(parseAddress) }
}

function parseAddress(saved: unknown): TunnelAddress {
  const field = (name: string): unknown => (typeof saved === 'object' && saved !== null ? Reflect.get(saved, name) : '')
  const [host, port] = [field('host'), field('port')]
  return { host: typeof host === 'string' ? host : '', port: typeof port === 'number' ? port : 0 }
}

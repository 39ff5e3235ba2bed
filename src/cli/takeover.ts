import { spawn } from 'node:child_process'
import type { RelaySettings } from '../config/relay-settings.ts'
import { askRelay } from '../control/client.ts'
import type { ControlReply, ControlRequest } from '../control/exchange.ts'
import { HandoverDoor, handoverProblem, sendParcels } from '../dataplane/handover.ts'
import { MillraceError } from '../errors.ts'
import type { Logger } from '../observe/log.ts'
import { type Inheritance, readInheritance } from '../relay/inheritance.ts'
import type { Relay } from '../relay/relay.ts'
import { CommandFailure } from './exit.ts'
import type { ServiceManager } from './service-manager.ts'

/** Beside the control socket: where a relay that starts takes what the running one gives it. */
const doorSuffix = '.door'

/**
 * Asks the running relay for its sockets and all else that a successor needs. It goes on until `arrived()`. Rejects with
 * ERR_HANDOVER (no addon, or the system refuses), ERR_CONTROL_ABSENT, or what the running relay says.
 */
export async function takeOver({ controlSocket }: RelaySettings, log: Logger): Promise<Inheritance> {
  const problem = handoverProblem()
  if (problem !== undefined) throw new MillraceError('ERR_HANDOVER', problem)
  const door = HandoverDoor.open(`${controlSocket}${doorSuffix}`)
  try {
    await ask(controlSocket, { type: 'takeover', door: `${controlSocket}${doorSuffix}` })
    const inheritance = readInheritance(door.take(), async () => {
      // Whatever becomes of the earlier relay now: visitors are taken here, and agents must be as well.
      await ask(controlSocket, { type: 'leave', pid: process.pid }).catch((error: unknown) =>
        log.warn('relay.alone', { error: String(error) }, 'the earlier relay did not take its leave'),
      )
    })
    const { pid, ports } = inheritance
    log.info('relay.takeover', { from: pid, ports: ports.length })
    return inheritance
  } finally {
    door.close()
  }
}

/**
 * Starts the relay anew, as it is installed now, to take this one's place: same flags, same terminal or journal. Should it
 * fail before `isReplaced`, this one goes on. Under a service manager it is a child of this process, as its unit demands.
 */
export function startSuccessor(isReplaced: () => boolean, log: Logger): void {
  const [program = '', ...flags] = process.argv.slice(1)
  const takeover = flags.includes('--takeover') ? flags : [...flags, '--takeover']
  // Those are about this process.
  const { LISTEN_PID: _, LISTEN_FDS: _fds, LISTEN_FDNAMES: _names, WATCHDOG_PID: _pid, ...env } = process.env
  const child = spawn(process.execPath, [...process.execArgv, program, ...takeover], { stdio: 'inherit', env })
  const failed = (why: Record<string, unknown>): void => {
    if (!isReplaced()) log.error('relay.successor-failed', why, 'this relay goes on')
  }
  child.on('error', ({ message }) => failed({ error: message }))
  child.on('exit', (code, signal) => failed({ exit: code ?? signal }))
  child.unref()
  log.info('relay.successor', { pid: child.pid })
}

async function ask(path: string, request: ControlRequest): Promise<ControlReply> {
  const reply = await askRelay(path, request)
  if (!reply.ok) throw new CommandFailure(`the running relay refuses: ${reply.error ?? 'it does not say why'}`)
  return reply
}

/** The running relay's side of a takeover: what its control socket is asked for. */
export class Succession {
  /** Resolves once another relay has taken this one's place. */
  readonly left: Promise<void>
  readonly #relay: Relay
  readonly #manager: ServiceManager
  readonly #log: Logger
  #resolveLeft: () => void = () => undefined
  #begun = false

  constructor(relay: Relay, manager: ServiceManager, log: Logger) {
    this.#relay = relay
    this.#manager = manager
    this.#log = log
    this.left = new Promise((resolve) => {
      this.#resolveLeft = resolve
    })
  }

  /** True once another relay has taken this one's place. */
  get begun(): boolean {
    return this.#begun
  }

  /** `takeover`: leaves the sockets at the door of the one that asks. Throws ERR_HANDOVER. */
  bequeath({ door }: ControlRequest): ControlReply {
    if (this.#begun) return { ok: false, error: 'another relay has taken over already' }
    const problem = handoverProblem()
    if (problem !== undefined || typeof door !== 'string') return { ok: false, error: problem ?? 'there is no door' }
    sendParcels(door, this.#relay.bequests())
    return { ok: true }
  }

  /** `leave`: the other relay takes visitors. Replies when it may take agents as well. */
  async leave({ pid }: ControlRequest): Promise<ControlReply> {
    this.#begun = true
    this.#log.info('relay.leaving', { to: pid })
    if (typeof pid === 'number') this.#manager.handOver(pid)
    await this.#relay.leave()
    this.#log.info('relay.left', { visitors: this.#relay.counts.visitors }, 'their joins go on here until they end')
    // In a later turn: the reply goes out first.
    setTimeout(this.#resolveLeft, 100)
    return { ok: true }
  }
}

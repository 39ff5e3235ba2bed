import { Pulse, sendNote } from '../dataplane/service-note.ts'
import type { DataPlane } from '../dataplane/types.ts'
import type { Logger } from '../observe/log.ts'

/** What of the environment concerns the service manager, sd_notify(3) and sd_watchdog_enabled(3). */
export type ServiceEnvironment = Readonly<Record<string, string | undefined>>

/** Times below it would be spent on notes alone, ms. */
const leastWatchdogMs = 10

/**
 * The service manager that runs this process, if one does (systemd's protocol, sd_notify(3)): it is told when the service
 * is ready, reloads, stops and lives. Never throws; a note that can't be sent is logged once.
 */
export class ServiceManager {
  readonly #address: string
  readonly #watchdogMs: number
  readonly #log: Logger
  #watchdog: NodeJS.Timeout | undefined
  #failed = false

  constructor(log: Logger, env: ServiceEnvironment = process.env, pid = process.pid) {
    this.#log = log
    this.#address = env['NOTIFY_SOCKET'] ?? ''
    const microseconds = Number(env['WATCHDOG_USEC'] ?? 0)
    const ours = env['WATCHDOG_PID'] === undefined || env['WATCHDOG_PID'] === `${pid}`
    this.#watchdogMs = ours && microseconds > 0 ? Math.max(leastWatchdogMs, microseconds / 2000) : 0
  }

  /** True when there is one that wants to be told. */
  get present(): boolean {
    return this.#address !== ''
  }

  /**
   * The service serves. From now on the watchdog is fed, twice in its time, as long as the event loop and the data
   * plane's threads run. `status` is for people.
   */
  ready(dataPlane: DataPlane, status: string): void {
    // The process may be another than the one that was started: after a takeover the manager must learn of it.
    this.#tell(`READY=1\nMAINPID=${process.pid}\nSTATUS=${oneLine(status)}`)
    if (this.#watchdogMs === 0 || !this.present || this.#watchdog !== undefined) return
    const pulse = new Pulse(dataPlane)
    let silent = false
    this.#watchdog = setInterval(() => {
      const alive = pulse.beats()
      if (alive) this.#tell('WATCHDOG=1')
      else if (!silent) this.#log.error('service.stuck', {}, 'a thread of the data plane does not run any more')
      silent = !alive
    }, this.#watchdogMs)
    this.#watchdog.unref()
  }

  /** Settings are being read again; {@link reloaded} must follow. */
  reloading(): void {
    // Type=notify-reload wants to know since when, in CLOCK_MONOTONIC.
    this.#tell(`RELOADING=1\nMONOTONIC_USEC=${process.hrtime.bigint() / 1000n}`)
  }

  /** Settings have been read, whether they were any good or not. */
  reloaded(status: string): void {
    this.#tell(`READY=1\nSTATUS=${oneLine(status)}`)
  }

  /** The service ends. */
  stopping(status: string): void {
    this.#tell(`STOPPING=1\nSTATUS=${oneLine(status)}`)
  }

  /** One line for people. */
  status(text: string): void {
    this.#tell(`STATUS=${oneLine(text)}`)
  }

  /** Another process is the service from now on: this one says nothing more. */
  handOver(pid: number): void {
    this.#tell(`MAINPID=${pid}`)
    this.close()
    this.#failed = true
  }

  /** Feeds the watchdog no more. */
  close(): void {
    clearInterval(this.#watchdog)
    this.#watchdog = undefined
  }

  #tell(text: string): void {
    if (!this.present || this.#failed) return
    const problem = sendNote(this.#address, text)
    if (problem === '') return
    this.#failed = true
    this.#log.warn('service.untold', { error: problem }, 'the service manager could not be told')
  }
}

function oneLine(text: string): string {
  return text.replaceAll(/[\r\n]+/g, ' ')
}

import { readFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { RelaySettings } from '../config/relay-settings.ts'
import type { SettingsChange } from '../config/settings-change.ts'
import { FolderWatch } from '../folder-watch.ts'
import type { Logger } from '../observe/log.ts'
import type { Relay } from '../relay/relay.ts'

/** Brings a running relay's settings up to date: when its config file changes, on SIGHUP, and on command. */
export class RelayFollower {
  readonly #file: string | undefined
  readonly #read: () => Promise<RelaySettings>
  readonly #relay: Relay
  readonly #log: Logger
  readonly #watch: FolderWatch | undefined
  #running: Promise<unknown> = Promise.resolve()
  /** The file's text when it was last looked at; the same fault is told once. */
  #seen: string | undefined

  /** `read` reads flags and file again; `file` is what is followed. */
  constructor(file: string | undefined, read: () => Promise<RelaySettings>, relay: Relay, log: Logger) {
    this.#file = file
    this.#read = read
    this.#relay = relay
    this.#log = log
    this.#watch = file === undefined ? undefined : new FolderWatch([dirname(file)], () => void this.#look())
    process.on('SIGHUP', this.#onSignal)
  }

  /** Reads the settings again and takes over what can be. Rejects with ERR_CONFIG: all stays as it was. */
  reload(): Promise<SettingsChange> {
    const done = this.#running.then(() => this.#reload())
    this.#running = done.catch(() => undefined)
    return done
  }

  /** Follows nothing any more. */
  close(): void {
    this.#watch?.close()
    process.off('SIGHUP', this.#onSignal)
  }

  readonly #onSignal = (): void => {
    this.reload().catch(() => undefined)
  }

  async #look(): Promise<void> {
    const text = await this.#text()
    if (text === this.#seen) return
    const first = this.#seen === undefined
    this.#seen = text
    // At the first look the file is as it was read at the start, or a moment younger: that is no harm.
    if (!first || text !== undefined) await this.reload().catch(() => undefined)
  }

  async #text(): Promise<string | undefined> {
    return this.#file === undefined ? undefined : await readFile(this.#file, 'utf8').catch(() => undefined)
  }

  async #reload(): Promise<SettingsChange> {
    this.#seen = await this.#text()
    try {
      const change = await this.#relay.reload(await this.#read())
      if (change.live.length + change.later.length > 0) this.#log.info('config.reloaded', { ...change })
      if (change.later.length > 0) {
        this.#log.warn('config.restart', { settings: change.later }, 'these count after a restart')
      }
      return change
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error)
      this.#log.error('config.refused', { error: text }, 'all stays as it was')
      throw error
    }
  }
}

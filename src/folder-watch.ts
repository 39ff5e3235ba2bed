import { type FSWatcher, watch } from 'node:fs'

/** Times of a watch, ms. */
export interface WatchTimes {
  /** Quiet after a change before it is told: pairs are written one file after the other. Default 250. */
  readonly settleMs?: number
  /**
   * Between two looks without a reason: some file systems tell of no changes, and none tells of those behind a
   * symbolic link. Default 5000.
   */
  readonly pollMs?: number
}

/** Tells when something in folders may have changed: soon after a change, and now and then anyway. Holds no process. */
export class FolderWatch {
  readonly #onChange: () => void
  readonly #settleMs: number
  readonly #watchers: FSWatcher[] = []
  readonly #poll: NodeJS.Timeout
  #settling: NodeJS.Timeout | undefined

  /** `onChange` must not throw. Folders that can't be watched are only polled. */
  constructor(folders: readonly string[], onChange: () => void, times: WatchTimes = {}) {
    this.#onChange = onChange
    this.#settleMs = times.settleMs ?? 250
    for (const folder of folders) this.#watch(folder)
    this.#poll = setInterval(onChange, times.pollMs ?? 5_000)
    this.#poll.unref()
  }

  /** Ends it. Idempotent. */
  close(): void {
    clearInterval(this.#poll)
    clearTimeout(this.#settling)
    for (const watcher of this.#watchers) watcher.close()
  }

  #watch(folder: string): void {
    try {
      const watcher = watch(folder, { persistent: false }, () => this.#changed())
      // The folder is gone, say: polling finds out what has become of it.
      watcher.on('error', () => watcher.close())
      this.#watchers.push(watcher)
    } catch {
      // Not there, or out of inotify watches: polling does.
    }
  }

  #changed(): void {
    clearTimeout(this.#settling)
    this.#settling = setTimeout(this.#onChange, this.#settleMs)
    this.#settling.unref()
  }
}

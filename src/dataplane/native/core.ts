import { getSystemErrorName } from 'node:util'
import type { Addon } from './addon.ts'
import { CounterCells } from './counters.ts'
import { EventReader, eventType, type PackedAddress } from './events.ts'
import { EngineStatistics } from './statistics.ts'
import { TlsContexts } from './tls-contexts.ts'

/** Who hears of an endpoint's events. */
export interface EndpointEvents {
  onRead(status: number, bytes: Buffer | undefined): void
  onFlushed(errno: number): void
  onPeerEnded(errno: number): void
  onDialed(errno: number, local: PackedAddress, remote: PackedAddress): void
  onReleased(fd: number): void
  onGone(errno: number): void
  /** `event` is the Secured record, and lasts as long as the call. */
  onSecured(event: EventReader): void
  /** The peer has begun a visit on a lane; `start` is what its OPEN carries. */
  onLaneOpened(start: Buffer): void
  /** A lane's visit is over at both ends. */
  onLaneFree(): void
}

/** Who hears of a join's end. */
export interface JoinEvents {
  /** `event` is the JoinEnded record, and lasts as long as the call. */
  onEnded(event: EventReader): void
}

/** Who hears of a listener's events. */
export interface ListenerEvents {
  /** Takes note of one accepted endpoint; {@link deliver} follows at the end of the batch. */
  onAccepted(id: number, event: EventReader): void
  deliver(): void
  onClosed(refused: number): void
}

/** Errno as its name, e.g. 'ECONNRESET'; '' for 0. */
export function errnoName(errno: number): string {
  return errno === 0 ? '' : getSystemErrorName(-errno)
}

/**
 * This environment's share of the engine: who is who by id, the doorbell's answer, and whether the event loop must stay
 * alive. One per environment, as the addon allows just one.
 */
export class Core {
  readonly addon: Addon
  readonly cells: CounterCells
  readonly statistics: EngineStatistics
  readonly tls: TlsContexts
  readonly #endpoints = new Map<number, EndpointEvents>()
  readonly #joins = new Map<number, JoinEvents>()
  readonly #listeners = new Map<number, ListenerEvents>()
  readonly #reader = new EventReader()
  readonly #touched = new Set<ListenerEvents>()
  #owned = 0
  #alive = false
  #nextToken = 1
  #wakes = false
  readonly #wake = (): void => {
    this.#wakes = false
    this.addon.wake()
  }

  /** The addon is attached. */
  private constructor(addon: Addon) {
    this.addon = addon
    this.statistics = new EngineStatistics(addon)
    this.cells = new CounterCells(addon)
    this.tls = new TlsContexts(addon)
  }

  /** Starts, or joins, the process's engine. A number is the errno for which it refused. */
  static attach(addon: Addon, workers: number): Core | number {
    let core: Core | undefined
    const result = addon.attach(workers, () => {
      if (core !== undefined) core.#drain()
    })
    if (result !== 0) return -result
    core = new Core(addon)
    return core
  }

  addEndpoint(id: number, events: EndpointEvents): void {
    this.#endpoints.set(id, events)
    this.#updateAlive()
  }

  removeEndpoint(id: number): void {
    this.#endpoints.delete(id)
    this.#updateAlive()
  }

  addListener(id: number, events: ListenerEvents): void {
    this.#listeners.set(id, events)
    this.#updateAlive()
  }

  /** Registers a join, whose end is reported once; returns its token. */
  addJoin(events: JoinEvents): number {
    const token = this.#nextToken
    this.#nextToken += 1
    this.#joins.set(token, events)
    this.#updateAlive()
    return token
  }

  /** Forgets a join that the engine never heard of, and the endpoint that was to be made for it. */
  cancelJoin(token: number): void {
    this.#joins.delete(token)
    this.#owned -= 1
    this.#updateAlive()
  }

  /** Notes that the engine owns one endpoint more. It says itself when it no longer does. */
  endpointBorn(): void {
    this.#owned += 1
  }

  /** Has the workers hear of what they were not woken for, at the end of the microtasks. */
  wakeSoon(): void {
    if (this.#wakes) return
    this.#wakes = true
    queueMicrotask(this.#wake)
  }

  /** Endpoints that the engine owns for this environment, connecting and closing ones included. */
  get endpoints(): number {
    return this.#owned
  }

  /** Listeners of this environment that are not closed. */
  get listeners(): number {
    return this.#listeners.size
  }

  /** Joins of this environment that have begun and not ended. */
  get joins(): number {
    return this.#joins.size
  }

  #updateAlive(): void {
    const alive = this.#endpoints.size + this.#joins.size + this.#listeners.size > 0
    if (alive === this.#alive) return
    this.#alive = alive
    this.addon.keepAlive(alive)
  }

  #drain(): void {
    const reader = this.#reader
    for (;;) {
      const count = this.addon.drain(reader.records, reader.arena)
      if (count === 0) break
      reader.rewind()
      for (let i = 0; i < count; i += 1) {
        // A callback of the user's that throws must not cost others their events: its error is thrown on its own.
        try {
          this.#dispatch(reader)
        } catch (error) {
          throwAlone(error)
        }
        reader.next()
      }
      if (this.#touched.size > 0) this.#deliver()
    }
    this.#updateAlive()
  }

  #deliver(): void {
    for (const listener of this.#touched) {
      try {
        listener.deliver()
      } catch (error) {
        throwAlone(error)
      }
    }
    this.#touched.clear()
  }

  #dispatch(event: EventReader): void {
    const { id, code } = event
    switch (event.type) {
      case eventType.accepted: {
        this.#owned += 1
        const listener = this.#listeners.get(event.value(0))
        if (listener === undefined) {
          this.addon.destroy(id, true)
          return
        }
        listener.onAccepted(id, event)
        this.#touched.add(listener)
        return
      }
      case eventType.dialed:
        if (code !== 0) this.#owned -= 1
        this.#endpoints.get(id)?.onDialed(code, event.local, event.remote)
        return
      case eventType.read:
        this.#endpoints.get(id)?.onRead(code, event.value(0) > 0 ? event.payload() : undefined)
        return
      case eventType.flushed:
        this.#endpoints.get(id)?.onFlushed(code)
        return
      case eventType.peerEnded:
        this.#endpoints.get(id)?.onPeerEnded(code)
        return
      case eventType.released:
        this.#owned -= 1
        this.#endpoints.get(id)?.onReleased(event.value(0))
        return
      case eventType.secured:
        this.#endpoints.get(id)?.onSecured(event)
        return
      case eventType.laneOpened:
        this.#endpoints.get(id)?.onLaneOpened(event.payload())
        return
      case eventType.laneFree:
        this.#endpoints.get(id)?.onLaneFree()
        return
      case eventType.gone: {
        this.#owned -= 1
        const endpoint = this.#endpoints.get(id)
        this.#endpoints.delete(id)
        endpoint?.onGone(code)
        return
      }
      case eventType.listenerClosed: {
        const listener = this.#listeners.get(id)
        this.#listeners.delete(id)
        this.#touched.delete(listener as ListenerEvents)
        listener?.deliver()
        listener?.onClosed(event.value(0))
        return
      }
      default:
        this.#endJoin(event)
    }
  }

  #endJoin(event: EventReader): void {
    this.#owned -= event.value(5)
    const { id } = event
    const join = this.#joins.get(id)
    this.#joins.delete(id)
    join?.onEnded(event)
  }
}

function throwAlone(error: unknown): void {
  process.nextTick(() => {
    throw error
  })
}

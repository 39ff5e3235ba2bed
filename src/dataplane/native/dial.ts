import { MillraceError } from '../../errors.ts'
import { describe } from '../stream/address.ts'
import type { DialOptions, DialTarget, Endpoint } from '../types.ts'
import type { Core, EndpointEvents } from './core.ts'
import { NativeEndpoint } from './endpoint.ts'
import type { PackedAddress } from './events.ts'
import { systemError } from './listener.ts'
import { interleaveFamilies, resolveHost } from './resolve.ts'

/** Between two attempts, RFC 8305 section 5. */
const attemptDelayMs = 250

/** Connects. Rejects with ERR_DIAL or ERR_DIAL_TIMEOUT. */
export async function nativeDial(core: Core, target: DialTarget, options: DialOptions): Promise<Endpoint> {
  const { timeoutMs = 10_000, signal } = options
  const fail = (cause: unknown): MillraceError => new MillraceError('ERR_DIAL', describe(target), { cause })
  if (signal?.aborted === true) throw fail(signal.reason)
  if ('port' in target && !(Number.isInteger(target.port) && target.port > 0 && target.port <= 65_535)) {
    throw fail(new RangeError(`port ${target.port} is not from 1 to 65535`))
  }
  return new Promise((resolve, reject) => {
    const dial = new Dial(core, target, (result) => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', onAbort)
      if (result instanceof NativeEndpoint) resolve(result)
      else reject(result instanceof MillraceError ? result : fail(result))
    })
    const onAbort = (): void => dial.cancel(signal?.reason)
    const onTimeout = (): void =>
      dial.cancel(new MillraceError('ERR_DIAL_TIMEOUT', `${describe(target)} did not answer for ${timeoutMs} ms`))
    const timer = Number.isFinite(timeoutMs) ? setTimeout(onTimeout, Math.min(timeoutMs, 2 ** 31 - 1)) : undefined
    signal?.addEventListener('abort', onAbort, { once: true })
    dial.start()
  })
}

/** The attempts of one dial: the next starts when the last has failed, or is slow; the first to connect wins. */
class Dial {
  readonly #core: Core
  readonly #target: DialTarget
  readonly #settle: (result: unknown) => void
  readonly #attempts = new Map<number, Attempt>()
  #waiting: string[] = []
  #timer: NodeJS.Timeout | undefined
  #error: unknown
  #over = false

  constructor(core: Core, target: DialTarget, settle: (result: unknown) => void) {
    this.#core = core
    this.#target = target
    this.#settle = settle
  }

  start(): void {
    if ('path' in this.#target) {
      this.#attempt(undefined)
      return
    }
    resolveHost(this.#target.host).then(
      (addresses) => {
        this.#waiting = interleaveFamilies(addresses)
        this.#next()
      },
      (error: unknown) => this.cancel(error),
    )
  }

  /** Ends it with this reason, unless it has ended. */
  cancel(reason: unknown): void {
    this.#end(reason, undefined)
  }

  connected(endpoint: NativeEndpoint): void {
    this.#end(endpoint, endpoint.id)
  }

  failed(id: number, errno: number): void {
    this.#attempts.delete(id)
    // The first failure is that of the preferred address.
    this.#error ??= systemError('connect', errno)
    this.#next()
  }

  #next(): void {
    if (this.#over) return
    clearTimeout(this.#timer)
    const host = this.#waiting.shift()
    if (host !== undefined) this.#attempt(host)
    else if (this.#attempts.size === 0) this.cancel(this.#error)
  }

  #attempt(host: string | undefined): void {
    const target = this.#target
    const { addon } = this.#core
    // The time-out is the whole dial's, and kept by it.
    const id =
      'path' in target
        ? addon.dial(undefined, 0, target.path, Number.POSITIVE_INFINITY)
        : addon.dial(host, target.port, undefined, Number.POSITIVE_INFINITY)
    if (id < 0) {
      this.#error ??= systemError('connect', -id)
      this.#next()
      return
    }
    this.#core.endpointBorn()
    this.#attempts.set(id, new Attempt(this.#core, id, this))
    if (this.#waiting.length > 0) this.#timer = setTimeout(() => this.#next(), attemptDelayMs)
  }

  #end(result: unknown, winner: number | undefined): void {
    if (this.#over) return
    this.#over = true
    clearTimeout(this.#timer)
    for (const id of this.#attempts.keys()) if (id !== winner) this.#core.addon.destroy(id, true)
    this.#settle(result)
  }
}

/** One connect under way. The engine answers with Dialed, or with Gone when the attempt was given up. */
class Attempt implements EndpointEvents {
  readonly #core: Core
  readonly #id: number
  readonly #dial: Dial

  constructor(core: Core, id: number, dial: Dial) {
    this.#core = core
    this.#id = id
    this.#dial = dial
    core.addEndpoint(id, this)
  }

  onDialed(errno: number, local: PackedAddress, remote: PackedAddress): void {
    if (errno === 0) {
      // Takes this attempt's place among the core's endpoints; the loser of a race is destroyed by its dial.
      this.#dial.connected(new NativeEndpoint(this.#core, this.#id, local, remote))
    } else {
      this.#core.removeEndpoint(this.#id)
      this.#dial.failed(this.#id, errno)
    }
  }

  onGone(): void {}
  onRead(): void {}
  onFlushed(): void {}
  onPeerEnded(): void {}
  onReleased(): void {}
  onSecured(): void {}
  onLaneOpened(): void {}
  onLaneFree(): void {}
}

import { MillraceError } from '../errors.ts'
import { readMode, readWorkers } from './mode.ts'
import { Core, errnoName } from './native/core.ts'
import { NativeDataPlane } from './native/data-plane.ts'
import { describeAttempts, loadAddon } from './native/load.ts'
import { StreamDataPlane } from './stream/data-plane.ts'
import type { DataPlane, DataPlaneMode } from './types.ts'

let shared: DataPlane | undefined
let core: Core | undefined
let warned = false

/**
 * Makes a data plane. `mode` defaults to `MILLRACE_DATAPLANE`, and that to `native`. Where the native one cannot run,
 * the stream one stands in; its `mode` still says what was asked for. Silently where there is no binary for this
 * platform; one that is there and fails is reported once, as a process warning with every path tried and why.
 * Throws ERR_DATAPLANE_MODE or ERR_WORKERS.
 */
export function createDataPlane(mode: DataPlaneMode = readMode()): DataPlane {
  if (mode === 'stream') return new StreamDataPlane(mode)
  const native = attachCore()
  return native === undefined ? new StreamDataPlane(mode) : new NativeDataPlane(native, mode)
}

/** The process-wide data plane (one per worker_thread), made on first use. Throws as {@link createDataPlane}. */
export function defaultDataPlane(): DataPlane {
  shared ??= createDataPlane()
  return shared
}

function attachCore(): Core | undefined {
  if (core !== undefined) return core
  const workers = readWorkers()
  const loaded = loadAddon()
  if (loaded.state !== 'loaded') {
    if (loaded.state === 'broken') warn(describeAttempts(loaded.tried))
    return undefined
  }
  const attached = Core.attach(loaded.addon, workers)
  if (attached instanceof Core) {
    core = attached
    return core
  }
  warn(`  ${loaded.path}: the system refused to start its workers (${errnoName(attached)})`)
  return undefined
}

function warn(detail: string): void {
  if (warned) return
  warned = true
  const { message, code } = new MillraceError('ERR_DATAPLANE_LOAD', `\n${detail}\nStreams do the same, slower.`)
  process.emitWarning(message, { type: 'MillraceWarning', code })
}

import { readMode } from './mode.ts'
import { StreamDataPlane } from './stream/data-plane.ts'
import type { DataPlane, DataPlaneMode } from './types.ts'

let shared: DataPlane | undefined

/**
 * Makes a data plane. `mode` defaults to `MILLRACE_DATAPLANE`, and that to `native`. Where the native one cannot run,
 * the stream one stands in; its `mode` still says what was asked for. Throws ERR_DATAPLANE_MODE.
 */
export function createDataPlane(mode: DataPlaneMode = readMode()): DataPlane {
  return new StreamDataPlane(mode)
}

/** The process-wide data plane (one per worker_thread), made on first use. Throws as {@link createDataPlane}. */
export function defaultDataPlane(): DataPlane {
  shared ??= createDataPlane()
  return shared
}

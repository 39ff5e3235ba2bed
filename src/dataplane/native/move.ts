import { Socket } from 'node:net'
import { MillraceError } from '../../errors.ts'
import { StreamEndpoint } from '../stream/endpoint.ts'
import { secureEndpoint } from '../stream/secure.ts'
import type { StreamTally } from '../stream/tally.ts'
import type { TlsOptions } from '../types.ts'
import type { NativeEndpoint } from './endpoint.ts'

/** A place to which an endpoint's descriptor goes when streams must take over. */
export interface Heir {
  /** `fd` is the heir's to close. */
  onReleased(fd: number): void
  onLost(): void
}

/**
 * Moves a plain endpoint from the engine to Node streams, for TLS and for joins with a TLS endpoint: where the engine
 * can't speak TLS, those run on streams. Calls back once: with the endpoint, or undefined when its connection was lost.
 * `tally` counts it as its own from then on. `replay`: see {@link NativeEndpoint.release}.
 */
export function moveToStream(
  endpoint: NativeEndpoint,
  replay: boolean,
  tally: StreamTally,
  onMoved: (moved: StreamEndpoint | undefined) => void,
): void {
  const { local, remote } = endpoint
  const heir: Heir = {
    onReleased: (fd: number): void => {
      const socket = new Socket({ fd, readable: true, writable: true, allowHalfOpen: true })
      const head = unread.length > 0 ? Buffer.concat(unread) : undefined
      tally.endpointBorn()
      onMoved(StreamEndpoint.fromSocket(socket, head, { local, remote, onGone: () => tally.endpointGone() }))
    },
    onLost: (): void => onMoved(undefined),
  }
  const unread = endpoint.release(heir, replay)
}

/** TLS on an endpoint of the engine's, which is used up. Rejects as {@link secureEndpoint}. */
export function secureNative(
  endpoint: NativeEndpoint,
  options: TlsOptions,
  tally: StreamTally,
): Promise<StreamEndpoint> {
  const unusable = endpoint.unusable()
  if (unusable !== undefined) return Promise.reject(unusable)
  const timeoutMs = options.handshakeTimeoutMs ?? 10_000
  return new Promise((resolve, reject) => {
    let late = false
    // What was written before must leave first, and the peer may not be reading.
    const timer = setTimeout(
      () => {
        late = true
        endpoint.abandonRelease()
      },
      Math.min(timeoutMs, 2 ** 31 - 1),
    )
    moveToStream(endpoint, false, tally, (moved) => {
      clearTimeout(timer)
      if (moved === undefined) {
        reject(late ? new MillraceError('ERR_TLS_TIMEOUT', String(timeoutMs)) : new MillraceError('ERR_ENDPOINT_RESET'))
      } else secureEndpoint(moved, options, tally).then(resolve, reject)
    })
  })
}

/** millrace as a library: joins two sockets, or runs a whole data plane. */
import type { Socket } from 'node:net'
import { checkAdoptable } from './dataplane/adopt-check.ts'
import { defaultDataPlane } from './dataplane/create.ts'
import { readJoinLimits } from './dataplane/join-options.ts'
import type { Join, JoinOptions } from './dataplane/types.ts'
import { MillraceError } from './errors.ts'

export { createDataPlane, defaultDataPlane } from './dataplane/create.ts'
export type { DataPlaneStats, SpliceFallback, WorkerStats } from './dataplane/stats.ts'
export type {
  Address,
  ClosedHow,
  DataPlane,
  DataPlaneMode,
  DialOptions,
  DialTarget,
  DirectionName,
  DirectionOptions,
  Endpoint,
  EndReason,
  FindEnd,
  Join,
  JoinOptions,
  JoinResult,
  JoinToOptions,
  ListenAddress,
  Listener,
  ListenOptions,
  Path,
  PerDirection,
  RateLimit,
  TlsAgreement,
  TlsCommonOptions,
  TlsOptions,
  TlsTrust,
} from './dataplane/types.ts'
export { type ErrorCode, errorCodes, MillraceError } from './errors.ts'

/** {@link JoinOptions} and what was already read from the sockets. */
export interface SocketJoinOptions extends JoinOptions {
  /** Bytes already read from the first socket, such as the `head` of an 'upgrade' or 'connect' event. */
  readonly headA?: Uint8Array
  /** The same of the second socket. */
  readonly headB?: Uint8Array
}

/**
 * Joins two connected sockets: every byte of each goes to the other until both directions have ended. Both sockets are
 * taken over, with what they have buffered; the objects are of no use afterwards.
 *
 * Servers whose sockets are joined should use `pauseOnConnect` (nothing is read ahead) and `allowHalfOpen` (a visitor
 * who ends its side before the join is still answered).
 *
 * Throws ERR_SOCKET_* or ERR_OPTION before anything is taken; never throws later.
 */
export function join(socketA: Socket, socketB: Socket, options: SocketJoinOptions = {}): Join {
  checkAdoptable(socketA)
  checkAdoptable(socketB)
  if (socketA === socketB) throw new MillraceError('ERR_SOCKET_SAME')
  readJoinLimits(options)
  const plane = defaultDataPlane()
  const a = plane.adopt(socketA, options.headA)
  try {
    return plane.join(a, plane.adopt(socketB, options.headB), options)
  } catch (error) {
    // Only when the system has no descriptor left for the second one.
    a.destroy('reset')
    throw error
  }
}

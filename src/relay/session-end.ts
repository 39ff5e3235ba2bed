import { MillraceError } from '../errors.ts'

/**
 * Why a control session ended, as `agent.disconnected` tells it. `ended`, `reset`: the agent did. `silent`: nothing was heard
 * from it. `evicted`: it came back on another connection. `protocol`: it broke the protocol. `overflow`: it did not read. `flood`: it sent too much.
 * `revoked`: its token may not have a session any more.
 */
export type SessionEnd =
  | 'ended'
  | 'reset'
  | 'silent'
  | 'evicted'
  | 'protocol'
  | 'overflow'
  | 'flood'
  | 'revoked'
  | 'shutdown'
  | 'error'

/** The end that a failed read or write of the control connection means; `detail` is for people. */
export function sessionEndOf(error: unknown): { readonly reason: SessionEnd; readonly detail: string } {
  if (!(error instanceof MillraceError)) return { reason: 'error', detail: String(error) }
  const { code, message } = error
  if (code.startsWith('ERR_FRAME_')) return { reason: 'protocol', detail: message }
  if (code === 'ERR_CONTROL_RATE') return { reason: 'flood', detail: message }
  if (code === 'ERR_ENDPOINT_RESET') return { reason: 'reset', detail: '' }
  if (code === 'ERR_ENDPOINT_ENDED') return { reason: 'ended', detail: '' }
  // Nobody else closes the endpoint of a live session: the data plane did, as too much was waiting to be sent.
  if (code === 'ERR_ENDPOINT_CLOSED' || code === 'ERR_ENDPOINT_WRITE_OVERFLOW')
    return { reason: 'overflow', detail: message }
  return { reason: 'error', detail: message }
}

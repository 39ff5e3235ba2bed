import type { DirectionOptions } from '../types.ts'
import type { DirectionOwner } from './direction.ts'
import { DrivenDirection } from './driven-direction.ts'
import type { StreamEndpoint } from './endpoint.ts'
import type { CallerPart } from './endpoint-parts.ts'
import type { Port } from './port.ts'
import { Pump } from './pump.ts'
import { StreamRateLimit } from './rate-limit.ts'

const none: DirectionOptions = {}

/**
 * What of an endpoint stays with the caller, who may drive the direction `from` it and the one `to` it; undefined for
 * nothing.
 */
export function callerPart(
  from: DirectionOptions | undefined,
  to: DirectionOptions | undefined,
  onOverflow: () => void,
): CallerPart | undefined {
  const reads = from?.drive === 'caller'
  const writes = to?.drive === 'caller'
  return reads || writes ? { reads, writes, onOverflow } : undefined
}

/** Makes the direction that the options ask for, between the ports of two endpoints that the join has taken. */
export function makeDirection(
  owner: DirectionOwner,
  from: StreamEndpoint,
  to: StreamEndpoint,
  source: Port,
  sink: Port,
  options: DirectionOptions = none,
): Pump | DrivenDirection {
  if (options.drive === 'caller') return new DrivenDirection(source, sink, owner, from.inbox, to)
  return new Pump(source, sink, owner, options, options.rate instanceof StreamRateLimit ? options.rate : undefined)
}

import type { Address, Endpoint } from '../dataplane/types.ts'

/** Where a visitor comes from, and which public address it has reached. */
export interface Origin {
  readonly remote: Address
  readonly local: Address
}

/** What load balancers have said of the visitors that they brought. */
const told = new WeakMap<Endpoint, Origin>()

/** A visitor's origin: what a trusted balancer said, else the connection's own addresses. */
export function originOf(visitor: Endpoint): Origin {
  return told.get(visitor) ?? visitor
}

/** From now on this is the visitor's origin. */
export function tellOrigin(visitor: Endpoint, origin: Origin): void {
  told.set(visitor, origin)
}

/** A TLS handshake has made another endpoint of the visitor's: its origin stays. Returns `secured`. */
export function keepOrigin(visitor: Endpoint, secured: Endpoint): Endpoint {
  const origin = told.get(visitor)
  if (origin !== undefined) told.set(secured, origin)
  return secured
}

/** The address that a peer is counted and judged by; '' for peers of unix sockets. */
export function hostOf(endpoint: Endpoint): string {
  const { remote } = originOf(endpoint)
  return remote.family === 'unix' ? '' : remote.host
}

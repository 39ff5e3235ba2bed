import type { Extension } from './messages.ts'

/**
 * What may be without TLS between relay and agent: nothing, the proxy connections of tunnels that are passed through
 * (their visitors speak TLS with the service), or those of all tunnels.
 */
export type Plain = false | 'passthrough' | true

/** The extensions that an end with this choice speaks. */
export function plainExtensions(choice: Plain): readonly Extension[] {
  if (choice === true) return ['plain', 'passthrough']
  return choice === 'passthrough' ? ['passthrough'] : []
}

/**
 * What two ends have agreed on. Plain proxy connections are told from strangers by their tickets alone: without those
 * there are none.
 */
export function plainOf(agreed: ReadonlySet<Extension>): Plain {
  if (!agreed.has('ticket')) return false
  return agreed.has('plain') || (agreed.has('passthrough') && 'passthrough')
}

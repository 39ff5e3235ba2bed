import type { TokenEntry } from './relay-settings.ts'
import type { TokenFileEntry } from './token-schema.ts'

/** Tokens as the relay keeps them, from those of a file. */
export function tokenEntries(given: readonly TokenFileEntry[]): readonly TokenEntry[] {
  return given.map(({ deny_networks: denyNetworks, tcp_ports: tcpPorts, ...rest }) => {
    const entry = { ...rest, denyNetworks, tcpPorts }
    // Optional keys of the schema may be there without a value.
    return Object.fromEntries(Object.entries(entry).filter(([, value]) => value !== undefined)) as unknown as TokenEntry
  })
}

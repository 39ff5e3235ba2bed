import type { TokenEntry } from '../config/relay-settings.ts'

/** A token in one line: its name, its state at a moment (ms since 1970), and what it is limited to. */
export function describeToken(entry: TokenEntry, now: number): string {
  // A list as text has commas between its items.
  const said = Object.entries(scopesOf(entry)).flatMap(([key, value]) =>
    value === undefined ? [] : [`${key.replaceAll('_', '-')}=${String(value)}`],
  )
  return [entry.name, stateOf(entry, now), ...said].join('  ')
}

/** The same for programs: the keys and forms of the config file, and `state` (`valid`, `expired` or `disabled`). */
export function tokenAsJson(entry: TokenEntry, now: number): Readonly<Record<string, unknown>> {
  return { name: entry.name, state: stateOf(entry, now), sha256: entry.sha256, ...scopesOf(entry) }
}

function stateOf({ disabled, expires }: TokenEntry, now: number): string {
  if (disabled === true) return 'disabled'
  return expires !== undefined && now >= expires ? 'expired' : 'valid'
}

function scopesOf(entry: TokenEntry): Readonly<Record<string, string | number | readonly string[] | undefined>> {
  const { expires } = entry
  return {
    hostnames: entry.hostnames,
    subdomains: entry.subdomains,
    tcp_ports: entry.tcpPorts?.map(({ first, last }) => (first === last ? `${first}` : `${first}-${last}`)),
    protocols: entry.protocols,
    sessions: entry.sessions,
    tunnels: entry.tunnels,
    connections: entry.connections,
    bandwidth: entry.bandwidth,
    networks: entry.networks,
    deny_networks: entry.denyNetworks,
    expires: expires === undefined ? undefined : new Date(expires).toISOString(),
  }
}

import type { TokenEntry } from '../config/relay-settings.ts'

/** A token in one line: its name, its state at a moment (ms since 1970), and what it is limited to. */
export function describeToken(entry: TokenEntry, now: number): string {
  const { disabled, expires } = entry
  const state = disabled === true ? 'disabled' : expires !== undefined && now >= expires ? 'expired' : 'valid'
  const ports = entry.tcpPorts?.map(({ first, last }) => (first === last ? `${first}` : `${first}-${last}`))
  const scopes: readonly (readonly [string, string | undefined])[] = [
    ['hostnames', entry.hostnames?.join(',')],
    ['subdomains', entry.subdomains?.join(',')],
    ['tcp-ports', ports?.join(',')],
    ['protocols', entry.protocols?.join(',')],
    ['sessions', entry.sessions?.toString()],
    ['tunnels', entry.tunnels?.toString()],
    ['connections', entry.connections?.toString()],
    ['bandwidth', entry.bandwidth?.toString()],
    ['networks', entry.networks?.join(',')],
    ['deny-networks', entry.denyNetworks?.join(',')],
    ['expires', expires === undefined ? undefined : new Date(expires).toISOString()],
  ]
  const said = scopes.flatMap(([name, value]) => (value === undefined ? [] : [`${name}=${value}`]))
  return [entry.name, state, ...said].join('  ')
}

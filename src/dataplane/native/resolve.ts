import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'

/** The IP addresses of a host, in the resolver's order; an IP literal is its own. Rejects with the resolver's error. */
export async function resolveHost(host: string): Promise<readonly [string, ...string[]]> {
  if (isIP(host) !== 0) return [host]
  const [first, ...rest] = await lookup(host, { all: true, verbatim: true })
  if (first === undefined) throw Object.assign(new Error(`no address for ${host}`), { code: 'ENOTFOUND' })
  return [first.address, ...rest.map(({ address }) => address)]
}

/** Orders addresses so that the families take turns, beginning with the resolver's first (RFC 8305 section 4). */
export function interleaveFamilies(addresses: readonly string[]): string[] {
  const first = isIP(addresses[0] ?? '')
  const preferred = addresses.filter((address) => isIP(address) === first)
  const others = addresses.filter((address) => isIP(address) !== first)
  const ordered: string[] = []
  for (let i = 0; i < Math.max(preferred.length, others.length); i += 1) {
    for (const address of [preferred[i], others[i]]) if (address !== undefined) ordered.push(address)
  }
  return ordered
}

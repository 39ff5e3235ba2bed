import { BlockList, isIP } from 'node:net'
import { MillraceError } from '../errors.ts'
import { printable } from '../printable.ts'

/** A set of IP networks. IPv4 addresses written as IPv6 (`::ffff:192.0.2.1`) count as IPv4. */
export interface Networks {
  /** True when the address lies in one of them. False for what is no IP address (unix peers). Zones are ignored. */
  has(host: string): boolean
}

/**
 * Parses networks in CIDR notation (`10.0.0.0/8`, `fd00::/8`) and single addresses. Bits beyond the prefix are ignored.
 * Throws ERR_NETWORK.
 */
export function parseNetworks(texts: readonly string[]): Networks {
  const list = new BlockList()
  for (const text of texts) {
    const [, host = '', digits] = /^([^/]*)(?:\/(\d{1,3}))?$/.exec(text) ?? []
    const version = isIP(host)
    const bits = version === 6 ? 128 : 32
    const prefix = digits === undefined ? bits : Number(digits)
    if (version === 0 || prefix > bits || host.includes('%')) {
      throw new MillraceError('ERR_NETWORK', JSON.stringify(printable(text)))
    }
    list.addSubnet(host, prefix, version === 6 ? 'ipv6' : 'ipv4')
  }
  return {
    has: (given) => {
      const host = given.replace(/%.*$/s, '')
      const version = isIP(host)
      return version !== 0 && list.check(host, version === 6 ? 'ipv6' : 'ipv4')
    },
  }
}

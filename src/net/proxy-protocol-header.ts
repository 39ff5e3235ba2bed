import { isIP } from 'node:net'
import type { HostPort } from './address.ts'
import { ipFromBytes, ipToBytes, ipToBytes16 } from './ip-bytes.ts'

/** Versions of the PROXY protocol: `v1` is a line of text, `v2` binary. */
export type ProxyProtocolVersion = 'v1' | 'v2'

const fixedPart = Buffer.from('0d0a0d0a000d0a515549540a', 'hex')

/**
 * The header that tells a service who the visitor is, to be written before the visitor's bytes. Addresses must be IP
 * addresses; zones are left out, and when the families differ both are written as IPv6. Undefined, or no IP address: the
 * header says that nothing is known (`UNKNOWN`, AF_UNSPEC), and the service sees our address.
 */
export function proxyProtocolHeader(
  version: ProxyProtocolVersion,
  source: HostPort | undefined,
  destination: HostPort | undefined,
): Buffer {
  const from = source === undefined ? undefined : withoutZone(source)
  const to = destination === undefined ? undefined : withoutZone(destination)
  if (from === undefined || to === undefined) {
    return version === 'v1' ? Buffer.from('PROXY UNKNOWN\r\n') : Buffer.concat([fixedPart, Buffer.of(0x21, 0, 0, 0)])
  }
  const ipv4 = isIP(from.host) === 4 && isIP(to.host) === 4
  return version === 'v1' ? textHeader(from, to, ipv4) : binaryHeader(from, to, ipv4)
}

function withoutZone({ host, port }: HostPort): HostPort | undefined {
  const plain = host.replace(/%.*$/s, '')
  return isIP(plain) === 0 ? undefined : { host: plain, port }
}

function textHeader(from: HostPort, to: HostPort, ipv4: boolean): Buffer {
  const text = ipv4 ? (host: string) => host : inIpv6
  const family = ipv4 ? 'TCP4' : 'TCP6'
  return Buffer.from(`PROXY ${family} ${text(from.host)} ${text(to.host)} ${from.port} ${to.port}\r\n`, 'latin1')
}

/** IPv4 as `::ffff:192.0.2.1`: a TCP6 line has no place for IPv4. */
function inIpv6(host: string): string {
  const text = ipFromBytes(ipToBytes(host))
  return isIP(text) === 4 ? `::ffff:${text}` : text
}

function binaryHeader(from: HostPort, to: HostPort, ipv4: boolean): Buffer {
  const bytes = ipv4 ? ipToBytes : ipToBytes16
  const ports = Buffer.alloc(4)
  ports.writeUInt16BE(from.port, 0)
  ports.writeUInt16BE(to.port, 2)
  const body = Buffer.concat([bytes(from.host), bytes(to.host), ports])
  return Buffer.concat([fixedPart, Buffer.of(0x21, ipv4 ? 0x11 : 0x21, 0, body.length), body])
}

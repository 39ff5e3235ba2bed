import { isIP } from 'node:net'
import { type HostPort, parseHostPort } from '../net/address.ts'
import { type ProxyProtocolVersion, proxyProtocolHeader } from '../net/proxy-protocol-header.ts'
import type { StartProxy } from '../wire/messages.ts'

/** The PROXY protocol header that tells a service of a visitor, from what the relay has told us of it. */
export function originHeader(version: ProxyProtocolVersion, start: StartProxy): Buffer {
  const source = addressOf(start.ClientAddr)
  return proxyProtocolHeader(version, source, addressOf(start.ServerAddr ?? '') ?? publicPort(start.Url, source))
}

/** Undefined for what is no IP address: a relay may sit behind a unix socket. */
function addressOf(text: string): HostPort | undefined {
  try {
    const address = parseHostPort(text)
    return isIP(address.host) === 0 ? undefined : address
  } catch {
    return undefined
  }
}

const defaultPorts: Readonly<Record<string, number>> = { 'http:': 80, 'https:': 443, 'tls:': 443 }

/** A 1.x relay does not say at which of its addresses the visitor came in; the port stands in the tunnel's URL. */
function publicPort(url: string, source: HostPort | undefined): HostPort | undefined {
  if (source === undefined) return undefined
  const { port, protocol } = URL.canParse(url) ? new URL(url) : { port: '', protocol: '' }
  return { host: isIP(source.host) === 6 ? '::' : '0.0.0.0', port: Number(port) || (defaultPorts[protocol] ?? 0) }
}

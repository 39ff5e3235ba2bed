import { formatHostPort } from '../net/address.ts'

/** The ports on which visitors reach the shared fronts; absent = there is no such front. */
export interface FrontPorts {
  readonly http?: number
  readonly https?: number
}

const defaultPorts = { http: 80, https: 443 } as const

/** What is served on the shared fronts; `tls` shares the one of `https`. */
export type WebProtocol = 'http' | 'https' | 'tls'

/** The port of the front that serves a protocol; undefined = there is none. */
export function frontPort(ports: FrontPorts, protocol: WebProtocol): number | undefined {
  return ports[protocol === 'tls' ? 'https' : protocol]
}

/** `http://name.domain[:port]`: the port is told unless it is the scheme's default. `tls` has none and always tells. */
export function webUrl(scheme: WebProtocol, host: string, port: number): string {
  if (scheme === 'tls') return tlsUrl(host, port)
  return port === defaultPorts[scheme] ? `${scheme}://${host}` : `${scheme}://${formatHostPort(host, port)}`
}

/** `tls://host:port`. */
export function tlsUrl(host: string, port: number): string {
  return `tls://${formatHostPort(host, port)}`
}

/** `tcp://domain:port`. */
export function tcpUrl(domain: string, port: number): string {
  return `tcp://${formatHostPort(domain, port)}`
}

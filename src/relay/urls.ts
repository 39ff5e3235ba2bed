import { formatHostPort } from '../net/address.ts'

/** The ports on which visitors reach the shared fronts; absent = there is no such front. */
export interface FrontPorts {
  readonly http?: number
  readonly https?: number
}

const defaultPorts = { http: 80, https: 443 } as const

/** `http://name.domain[:port]`: the port is told unless it is the scheme's default. */
export function webUrl(scheme: 'http' | 'https', host: string, port: number): string {
  return port === defaultPorts[scheme] ? `${scheme}://${host}` : `${scheme}://${formatHostPort(host, port)}`
}

/** `tcp://domain:port`. */
export function tcpUrl(domain: string, port: number): string {
  return `tcp://${formatHostPort(domain, port)}`
}

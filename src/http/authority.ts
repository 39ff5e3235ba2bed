import { isIPv6 } from 'node:net'

/** The `host[:port]` of a Host field or an absolute-form target. */
export interface Authority {
  /** As it was sent. */
  readonly text: string
  /** In lower case, without a final dot; an IPv6 address keeps its brackets. */
  readonly host: string
  /** Undefined when none was named. */
  readonly port: number | undefined
}

/** Names hold what DNS and browsers use; the percent-encoding and sub-delims of RFC 3986 name no tunnel. */
const authorityPattern = /^(\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z_.-]+)(?::([0-9]{0,5}))?$/

/** Parses `host[:port]`; undefined when it is none. The host has at most 255 characters, the port at most 65535. */
export const parseAuthority = (text: string): Authority | undefined => {
  const match = authorityPattern.exec(text)
  if (match === null) return undefined
  const [, rawHost = '', rawPort = ''] = match
  const port = rawPort === '' ? undefined : Number(rawPort)
  if (port !== undefined && port > 65_535) return undefined
  const host = rawHost.toLowerCase()
  if (host.startsWith('[')) return isIPv6(host.slice(1, -1)) ? { text, host, port } : undefined
  const name = host.endsWith('.') ? host.slice(0, -1) : host
  return isName(name) ? { text, host: name, port } : undefined
}

const isName = (name: string): boolean =>
  name !== '' && name.length <= 255 && !name.startsWith('.') && !name.endsWith('.') && !name.includes('..')

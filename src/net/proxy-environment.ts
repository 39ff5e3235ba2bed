import { isIP } from 'node:net'
import { MillraceError } from '../errors.ts'
import type { HostPort } from './address.ts'
import { type Networks, parseNetworks } from './networks.ts'
import { type ProxyServer, parseProxy } from './proxy-server.ts'

/** Which proxy leads to an address; undefined: none, it is dialed directly. */
export type ProxyChoice = (to: HostPort) => ProxyServer | undefined

/**
 * The variables, in the order in which they count; the lower-case spelling of each goes first. The connection to a relay
 * is TLS, hence `https_proxy`; ngrok 1.x read `http_proxy`.
 */
const variables = ['https_proxy', 'http_proxy', 'all_proxy'] as const

type Environment = Readonly<Record<string, string | undefined>>

/**
 * The choice that the environment makes: the first of `https_proxy`, `http_proxy` and `all_proxy` that is not empty, but
 * for loopback and for what `no_proxy` names. Throws ERR_OUTBOUND_PROXY_URL, naming the variable and never its value.
 */
export function proxyFromEnvironment(env: Environment): ProxyChoice {
  const found = variables
    .flatMap((name) => [name, name.toUpperCase()])
    .map((name) => ({ name, value: env[name] ?? '' }))
    .find(({ value }) => value !== '')
  if (found === undefined) return () => undefined
  const proxy = named(found.name, found.value)
  const direct = parseNoProxy(env['no_proxy'] ?? env['NO_PROXY'] ?? '')
  return (to) => (isLoopback(to.host) || direct(to) ? undefined : proxy)
}

function named(name: string, value: string): ProxyServer {
  try {
    return parseProxy(value)
  } catch (error) {
    const why = error instanceof Error ? error.message : ''
    throw new MillraceError('ERR_OUTBOUND_PROXY_URL', `the variable ${name}: ${why}`)
  }
}

/**
 * What `no_proxy` excepts: entries separated by commas or spaces, each `*`, a domain with all below it (a leading dot or
 * `*.` changes nothing), an address or a network in CIDR notation; with `:PORT` for that port only.
 */
export function parseNoProxy(text: string): (to: HostPort) => boolean {
  const rules = text
    .split(/[\s,]+/)
    .filter((entry) => entry !== '')
    .map(parseRule)
  return (to) => rules.some((rule) => rule(to))
}

function parseRule(entry: string): (to: HostPort) => boolean {
  if (entry === '*') return () => true
  const network = networkOf(entry)
  if (network !== undefined) return ({ host }) => network.has(host)
  const [, host = '', port] = /^(.*?)(?::(\d+))?$/s.exec(entry) ?? []
  const bare = host.replace(/^\[(.*)\]$/s, '$1')
  const address = networkOf(bare)
  const isHost = address === undefined ? domainRule(bare) : (name: string) => address.has(name)
  return (to) => isHost(to.host) && (port === undefined || to.port === Number(port))
}

function domainRule(text: string): (host: string) => boolean {
  const domain = normal(text.replace(/^\*?\./, ''))
  return (host) => {
    const name = normal(host)
    return domain !== '' && isIP(name) === 0 && (name === domain || name.endsWith(`.${domain}`))
  }
}

function normal(name: string): string {
  return name.toLowerCase().replace(/\.$/, '')
}

/** Undefined for what is no network: entries that make no sense except nothing. */
function networkOf(text: string): Networks | undefined {
  try {
    return parseNetworks([text])
  } catch {
    return undefined
  }
}

const loopback = parseNetworks(['127.0.0.0/8', '::1'])

/** No proxy reaches our own loopback: what it calls so is its own. */
function isLoopback(host: string): boolean {
  const name = normal(host)
  return name === 'localhost' || name.endsWith('.localhost') || loopback.has(name)
}

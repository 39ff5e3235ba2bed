import { createHash, randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { request as httpRequest } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { Millrace } from './process.ts'

/** The token of all agents of these tests. */
export const token = randomBytes(32).toString('base64url')
const tokenSha256 = createHash('sha256').update(token).digest('hex')

/** A relay process. */
export interface RelayProcess {
  readonly process: Millrace
  /** `host:port` by role. */
  readonly tunnel: string
  readonly http: string
  readonly https: string
  readonly state: string
}

/** A folder that ends with the test. */
export async function scratch(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-e2e-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  return folder
}

/** How a relay is started. */
export interface RelayStart {
  /** An earlier one, whose addresses it gets. */
  readonly again?: RelayProcess
  /** Whether it has an https front. Default: it has. */
  readonly https?: boolean
  /** The checkout. */
  readonly folder?: string
}

/** Starts a relay on loopback. */
export async function startRelay(
  t: TestContext,
  args: readonly string[] = [],
  { again, https: secure = true, ...from }: RelayStart = {},
): Promise<RelayProcess> {
  const state = again?.state ?? (await scratch(t))
  const any = '127.0.0.1:0'
  const flags = ['--tunnel-addr', again?.tunnel ?? any, '--http-addr', again?.http ?? any]
  if (secure) flags.push('--https-addr', again?.https ?? any)
  flags.push('--state-dir', state, '--token-sha256', tokenSha256, '--log-format', 'json')
  const relay = new Millrace(t, ['relay', ...flags, ...args], {}, from)
  const address = async (role: string) =>
    String((await relay.line('relay.listening', (line) => line['role'] === role))['address'])
  const [tunnel, http, https] = await Promise.all([address('tunnel'), address('http'), secure ? address('https') : ''])
  return { process: relay, tunnel, http, https, state }
}

/** The flags that lead an agent to a relay. */
export function relayFlags(relay: RelayProcess): readonly string[] {
  return ['--relay', relay.tunnel, '--ca', join(relay.state, 'relay.crt'), '--log-format', 'json']
}

/** Starts an agent with the right token. */
export function startAgent(t: TestContext, relay: RelayProcess, args: readonly string[]): Millrace {
  return new Millrace(t, [...args, ...relayFlags(relay)], { MILLRACE_TOKEN: token })
}

/** The agent's tunnel of a scheme. */
export async function tunnelUrl(agent: Millrace, scheme: string): Promise<URL> {
  const line = await agent.line('tunnel.up', ({ url }) => String(url).startsWith(`${scheme}://`))
  return new URL(String(line['url']))
}

/** What a visitor of a web tunnel got. */
export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, unknown>>
  readonly body: string
}

/**
 * Visits a web tunnel. Names below localhost need no resolver: the connection goes to the front's address, and the
 * tunnel's name into Host and SNI.
 */
export async function visit(
  url: URL,
  front: string,
  options: { readonly method?: string; readonly body?: string; readonly auth?: string; readonly ca?: string } = {},
): Promise<Answer> {
  const [host = '', port = ''] = front.split(':')
  const send = url.protocol === 'https:' ? httpsRequest : httpRequest
  return await new Promise((resolve, reject) => {
    const outgoing = send(
      {
        host,
        port,
        path: '/',
        method: options.method ?? 'GET',
        headers: { host: url.host },
        agent: false,
        ...(options.auth === undefined ? {} : { auth: options.auth }),
        ...(url.protocol === 'https:' ? { servername: url.hostname, ca: options.ca } : {}),
      },
      (response) => {
        let body = ''
        response.setEncoding('utf8')
        response.on('data', (text: string) => {
          body += text
        })
        response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body }))
        response.on('error', reject)
      },
    )
    outgoing.on('error', reject)
    outgoing.end(options.body)
  })
}

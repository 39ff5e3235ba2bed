import { type Command, InvalidArgumentError, Option } from 'commander'
import { agentConfig } from '../config/agent-config.ts'
import { readPins } from '../dataplane/tls-options.ts'
import type { TlsVersion } from '../dataplane/types.ts'
import { type HostPort, parseHostPort } from '../net/address.ts'
import { defaultTunnelPort } from '../net/enrolment.ts'
import { readLogins } from './login-store.ts'

/** The flags of all agent commands that say how it meets its relay, as commander gives them. */
export interface SessionFlags {
  readonly config?: string
  /** In the order in which they are tried. */
  readonly relay: readonly [HostPort, ...HostPort[]]
  /** May hold a password. */
  readonly proxy?: string
  readonly token?: string
  readonly tokenFile?: string
  readonly ca?: string
  /** SHA-256 of the relay's public key, hex or base64. */
  readonly pin?: string
  readonly insecureSkipVerify?: boolean
  /** The oldest that the relay, and visitors whose TLS ends here, may speak. */
  readonly tlsMinVersion?: TlsVersion
  readonly plain?: boolean | 'passthrough'
  readonly lanes: boolean
  /** Of the config file alone. */
  readonly limits?: Readonly<Record<string, number | undefined>>
  readonly logFormat: 'pretty' | 'json'
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error'
}

/** Adds them. What is not given comes from the config file, then from `millrace login`. */
export function addSessionFlags(command: Command): Command {
  return command
    .hook('preAction', async (_, action) => {
      await takeConfig(action)
      if (action.getOptionValue('relay') !== undefined) return
      const [last] = readLogins()
      if (last === undefined)
        return action.error('error: no relay: give --relay HOST:PORT, or use millrace login first')
      action.setOptionValue('relay', [last.relay])
    })
    .option('--config <file>', 'reads defaults from a YAML file (default: ~/.config/millrace/agent.yml if it is there)')
    .option(
      '--relay <host:port,…>',
      `the relay's tunnel address (port ${defaultTunnelPort} if left out), or several, tried in this order; default: that of the last millrace login`,
      relays,
    )
    .option(
      '--proxy <url>',
      'dials the relay through http://[USER:PASSWORD@]HOST:PORT or socks5://…, or "none"; default: https_proxy, http_proxy, all_proxy',
    )
    .addOption(new Option('--token <token>', 'the token that the relay knows (better: MILLRACE_TOKEN or --token-file)'))
    .addOption(new Option('--token-file <file>', 'reads the token from a file').conflicts('token'))
    .addOption(new Option('--ca <file>', "trusts the relay's certificate by this CA (PEM), and no other"))
    .addOption(
      new Option(
        '--pin <sha256>',
        'trusts the relay whose public key (SPKI) has this SHA-256, hex or base64, and no other',
      )
        .argParser(pin)
        .conflicts('ca'),
    )
    .addOption(
      new Option('--insecure-skip-verify', 'trusts any relay: whoever is in between reads along').conflicts([
        'ca',
        'pin',
      ]),
    )
    .addOption(tlsMinVersionOption())
    .option('--plain', 'proxy connections without TLS where the relay allows it: faster, and readable on the way')
    .option('--no-plain', 'TLS on those of tls tunnels as well, whose visitors speak TLS with the service')
    .addOption(noLanesOption())
    .addOption(new Option('--log-format <format>', 'how log lines look').choices(['pretty', 'json']).default('pretty'))
    .addOption(
      new Option('--log-level <level>', 'the least important lines shown')
        .choices(['debug', 'info', 'warn', 'error'])
        .default('info'),
    )
}

/** The oldest TLS that is spoken; agents and relays have the same flag. */
export function tlsMinVersionOption(): Option {
  return new Option(
    '--tls-min-version <version>',
    'the oldest TLS that is spoken: 1.2 or 1.3 (default: 1.2)',
  ).argParser((text): TlsVersion => {
    if (text === '1.2' || text === '1.3') return `TLSv${text}`
    throw new InvalidArgumentError('expected 1.2 or 1.3')
  })
}

/** Agents and relays have the same flag. */
export function noLanesOption(): Option {
  return new Option('--no-lanes', 'a proxy connection for each visitor, instead of one for many after each other')
}

/** Parses a flag's value for commander; what `parse` throws is the error. */
export function argument<T>(parse: () => T): T {
  try {
    return parse()
  } catch (error) {
    throw new InvalidArgumentError(error instanceof Error ? error.message : String(error))
  }
}

/** What the command line leaves open is as the config file says. */
async function takeConfig(action: Command): Promise<void> {
  const named: unknown = action.getOptionValue('config')
  const config = await agentConfig(typeof named === 'string' ? named : undefined)
  if (config === undefined) return
  const { given } = config
  action.setOptionValue('config', config.file)
  /** Keys that exclude each other: one on the command line makes the file's of no account. */
  const groups: readonly Readonly<Record<string, unknown>>[] = [
    { relay: given.relay },
    { proxy: given.proxy },
    (process.env['MILLRACE_TOKEN'] ?? '') === '' ? { token: given.token, tokenFile: given.token_file } : {},
    { ca: given.ca, pin: given.pin, insecureSkipVerify: given.insecure_skip_verify },
    { tlsMinVersion: given.tls_min_version },
    { plain: given.plain },
    { lanes: given.lanes },
    { logFormat: given.log_format },
    { logLevel: given.log_level },
    { limits: given.limits },
  ]
  for (const group of groups) {
    if (Object.keys(group).some((key) => action.getOptionValueSource(key) === 'cli')) continue
    for (const [key, value] of Object.entries(group)) {
      if (value !== undefined) action.setOptionValueWithSource(key, value, 'config')
    }
  }
}

function pin(text: string): string {
  argument(() => readPins([text]))
  return text
}

function relays(text: string): SessionFlags['relay'] {
  const relay = (one: string): HostPort => argument(() => parseHostPort(one.trim(), { port: defaultTunnelPort }))
  const [first = '', ...others] = text.split(',')
  return [relay(first), ...others.map(relay)]
}

import { type Command, InvalidArgumentError, Option } from 'commander'
import { readPins } from '../dataplane/tls-options.ts'
import { type HostPort, parseHostPort, parseTarget, type Target } from '../net/address.ts'
import { defaultTunnelPort } from '../net/enrolment.ts'
import type { ProxyProtocolVersion } from '../net/proxy-protocol-header.ts'

import { readLogins } from './login-store.ts'

/** The flags that all commands with a TARGET share, as commander gives them. */
export interface AgentFlags {
  /** In the order in which they are tried. */
  readonly relay: readonly [HostPort, ...HostPort[]]
  /** May hold a password. */
  readonly proxy?: string
  readonly proxyProtocol?: ProxyProtocolVersion
  readonly token?: string
  readonly tokenFile?: string
  readonly ca?: string
  /** SHA-256 of the relay's public key, hex or base64. */
  readonly pin?: string
  readonly insecureSkipVerify?: boolean
  readonly targetCa?: string
  readonly targetInsecureSkipVerify?: boolean
  readonly plain?: boolean
  readonly logFormat: 'pretty' | 'json'
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error'
}

/** Adds TARGET and the flags that every agent command has. */
export function addAgentFlags(command: Command): Command {
  return command
    .hook('preAction', (_, action) => {
      if (action.getOptionValue('relay') !== undefined) return
      const [last] = readLogins()
      if (last === undefined)
        return action.error('error: no relay: give --relay HOST:PORT, or use millrace login first')
      action.setOptionValue('relay', [last.relay])
    })
    .argument('<target>', 'the service: PORT, HOST:PORT, [V6]:PORT, unix:/PATH or https://HOST:PORT', target)
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
    .addOption(new Option('--target-ca <file>', 'trusts an https:// target by this CA (PEM)'))
    .addOption(new Option('--target-insecure-skip-verify', 'trusts any https:// target').conflicts('targetCa'))
    .addOption(
      new Option(
        '--proxy-protocol <version>',
        'tells the service of each visitor in a PROXY protocol header, which it must expect',
      ).choices(['v1', 'v2']),
    )
    .option('--plain', 'proxy connections without TLS where the relay allows it: faster, and readable on the way')
    .option('--no-plain', 'TLS on those of tls tunnels as well, whose visitors speak TLS with the service')
    .addOption(new Option('--log-format <format>', 'how log lines look').choices(['pretty', 'json']).default('pretty'))
    .addOption(
      new Option('--log-level <level>', 'the least important lines shown')
        .choices(['debug', 'info', 'warn', 'error'])
        .default('info'),
    )
}

/** Parses a port for commander; 0 means any. */
export function portFlag(text: string): number {
  if (!/^\d{1,5}$/.test(text) || Number(text) > 65_535) throw new InvalidArgumentError('A port is 0 to 65535.')
  return Number(text)
}

function pin(text: string): string {
  argument(() => readPins([text]))
  return text
}

function relays(text: string): AgentFlags['relay'] {
  const relay = (one: string): HostPort => argument(() => parseHostPort(one.trim(), { port: defaultTunnelPort }))
  const [first = '', ...others] = text.split(',')
  return [relay(first), ...others.map(relay)]
}

function target(text: string): Target {
  return argument(() => parseTarget(text))
}

function argument<T>(parse: () => T): T {
  try {
    return parse()
  } catch (error) {
    throw new InvalidArgumentError(error instanceof Error ? error.message : String(error))
  }
}

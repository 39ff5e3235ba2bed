import { type Command, InvalidArgumentError, Option } from 'commander'
import { maxHstsSeconds, parseDomain, parseListenAddress } from '../config/relay-settings.ts'
import type { TlsVersion } from '../dataplane/types.ts'
import { type HostPort, type PortRange, parsePortRange } from '../net/address.ts'
import type { LogLevel } from '../observe/log.ts'
import { noLanesOption, tlsMinVersionOption } from './session-flags.ts'

/** The flags of `millrace relay`, as commander gives them. */
export interface RelayCommandFlags {
  readonly config?: string
  readonly check?: boolean
  /** Goes on in place of the relay that runs with the same control socket. */
  readonly takeover?: boolean
  readonly tunnelAddr?: HostPort
  readonly httpAddr?: HostPort
  readonly httpsAddr?: HostPort
  readonly tcpPorts?: PortRange
  readonly domain?: string
  readonly tlsCert?: string
  readonly tlsKey?: string
  readonly tlsMinVersion?: TlsVersion
  readonly httpsCerts?: string
  readonly httpsRedirect?: boolean
  /** Seconds; `true` without a number. */
  readonly hsts?: number | true
  readonly tokenSha256?: string[]
  readonly open?: boolean
  readonly allowPlain?: boolean
  /** False with `--no-lanes`. */
  readonly lanes: boolean
  readonly stateDir?: string
  readonly drainTimeout?: number
  readonly logFormat?: 'pretty' | 'json'
  readonly logLevel: LogLevel
}

/** `millrace relay`. */
export function register(program: Command): void {
  program
    .command('relay')
    .description('runs the public server that agents connect to; flags come before the config file')
    .option('--config <file>', 'reads settings from a YAML file: these flags with _ for -, tokens and limits')
    .option('--check', 'only says whether the settings are right')
    .option('--takeover', 'takes the place of the running relay without a gap, its sockets and its visitors to come')
    .option('--tunnel-addr <host:port>', 'where agents connect (default: ":4443")', checked(parseListenAddress))
    .option('--http-addr <host:port>', 'where visitors of http:// tunnels connect', checked(parseListenAddress))
    .option('--https-addr <host:port>', 'where visitors of https:// tunnels connect', checked(parseListenAddress))
    .option('--tcp-ports <a-b>', 'the ports that tcp:// tunnels may have (default: any)', checked(parsePortRange))
    .option('--domain <name>', 'the domain that tunnels get names in (default: "localhost")', checked(parseDomain))
    .option('--tls-cert <file>', 'certificate chain, PEM (default: its own, STATE/relay.crt)')
    .option('--tls-key <file>', 'its key, PEM')
    .addOption(tlsMinVersionOption())
    .option('--https-certs <dir>', 'certificates for visitors: NAME.crt and NAME.key, _.DOMAIN for a wildcard, default')
    .option('--https-redirect', 'sends http:// visitors to https:// where the tunnel has it')
    .option('--hsts [seconds]', 'tells browsers to use nothing but https:// (default: a year)', checked(hstsSeconds))
    .option('--token-sha256 <hex>', 'lets in the token with this SHA-256; may be given several times', addHash)
    .option('--open', 'lets anybody in')
    .option('--allow-plain', 'accepts proxy connections without TLS from agents that ask for it')
    .option('--no-allow-plain', 'does so not even for tls tunnels, which are passed through')
    .addOption(noLanesOption())
    .option('--state-dir <dir>', 'where its own certificate and its memory lie')
    .option('--drain-timeout <seconds>', 'how long visitors may stay after a stop (default: 30)', checked(seconds))
    .addOption(new Option('--log-format <format>', 'how log lines look').choices(['pretty', 'json']))
    .addOption(
      new Option('--log-level <level>', 'the least important lines shown')
        .choices(['debug', 'info', 'warn', 'error'])
        .default('info'),
    )
    .action(async (flags: RelayCommandFlags) => {
      const { runRelay } = await import('./relay-run.ts')
      process.exitCode = await runRelay(flags)
    })
}

function checked<T>(parse: (text: string) => T): (text: string) => T {
  return (text) => {
    try {
      return parse(text)
    } catch (error) {
      throw new InvalidArgumentError(error instanceof Error ? error.message : String(error))
    }
  }
}

function addHash(text: string, before: readonly string[] = []): readonly string[] {
  if (!/^[0-9a-f]{64}$/i.test(text)) {
    throw new InvalidArgumentError('A SHA-256 has 64 hex digits: `millrace token new` prints one.')
  }
  return [...before, text.toLowerCase()]
}

function hstsSeconds(text: string): number {
  if (!/^\d{1,10}$/.test(text) || Number(text) > maxHstsSeconds) {
    throw new Error(`Seconds are a whole number from 0 to ${maxHstsSeconds}.`)
  }
  return Number(text)
}

function seconds(text: string): number {
  const value = Number(text)
  if (text.trim() === '' || !(value >= 0 && value <= 86_400)) throw new Error('Seconds are a number from 0 to 86400.')
  return value
}

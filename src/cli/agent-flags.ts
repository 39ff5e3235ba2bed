import { type Command, InvalidArgumentError, Option } from 'commander'
import { type HostPort, parseHostPort, parseTarget, type Target } from '../net/address.ts'

/** The flags that `http` and `tcp` share, as commander gives them. */
export interface AgentFlags {
  readonly relay: HostPort
  readonly token?: string
  readonly tokenFile?: string
  readonly ca?: string
  readonly insecureSkipVerify?: boolean
  readonly targetCa?: string
  readonly targetInsecureSkipVerify?: boolean
  readonly plain?: boolean
  readonly logFormat: 'pretty' | 'json'
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error'
}

/** The relay's tunnel port when `--relay` names none. */
const defaultTunnelPort = 4443

/** Adds TARGET and the flags that every agent command has. */
export function addAgentFlags(command: Command): Command {
  return command
    .argument('<target>', 'the service: PORT, HOST:PORT, [V6]:PORT, unix:/PATH or https://HOST:PORT', target)
    .requiredOption('--relay <host:port>', `the relay's tunnel address (port ${defaultTunnelPort} if left out)`, relay)
    .addOption(new Option('--token <token>', 'the token that the relay knows (better: MILLRACE_TOKEN or --token-file)'))
    .addOption(new Option('--token-file <file>', 'reads the token from a file').conflicts('token'))
    .addOption(new Option('--ca <file>', "trusts the relay's certificate by this CA (PEM), and no other"))
    .addOption(
      new Option('--insecure-skip-verify', 'trusts any relay: whoever is in between reads along').conflicts('ca'),
    )
    .addOption(new Option('--target-ca <file>', 'trusts an https:// target by this CA (PEM)'))
    .addOption(new Option('--target-insecure-skip-verify', 'trusts any https:// target').conflicts('targetCa'))
    .option('--plain', 'proxy connections without TLS where the relay allows it: faster, and readable on the way')
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

function relay(text: string): HostPort {
  return argument(() => parseHostPort(text, { port: defaultTunnelPort }))
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

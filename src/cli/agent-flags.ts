import { type Command, InvalidArgumentError, Option } from 'commander'
import type { TunnelSpec } from '../agent/options.ts'
import { MillraceError } from '../errors.ts'
import { parseTarget } from '../net/address.ts'
import { parseNetworks } from '../net/networks.ts'
import type { ProxyProtocolVersion } from '../net/proxy-protocol-header.ts'
import { maxNetworks } from '../wire/limits.ts'
import { targetTrust } from './agent-secrets.ts'
import { addSessionFlags, argument, type SessionFlags } from './session-flags.ts'

/** The flags that all commands with a TARGET share, as commander gives them. */
export interface AgentFlags extends SessionFlags {
  readonly proxyProtocol?: ProxyProtocolVersion
  readonly allowCidr?: readonly string[]
  readonly denyCidr?: readonly string[]
  readonly targetCa?: string
  readonly targetInsecureSkipVerify?: boolean
}

/** Adds TARGET and the flags that every such command has. */
export function addAgentFlags(command: Command): Command {
  return addSessionFlags(command)
    .argument('<target>', 'the service: PORT, HOST:PORT, [V6]:PORT, unix:/PATH or https://HOST:PORT', (text) =>
      argument(() => parseTarget(text)),
    )
    .option(
      '--allow-cidr <network>',
      'lets visitors come from this network (CIDR) alone; may be given several times',
      addNetworks,
    )
    .option('--deny-cidr <network>', 'lets no visitor come from this network; may be given several times', addNetworks)
    .addOption(new Option('--target-ca <file>', 'trusts an https:// target by this CA (PEM)'))
    .addOption(new Option('--target-insecure-skip-verify', 'trusts any https:// target').conflicts('targetCa'))
    .addOption(
      new Option(
        '--proxy-protocol <version>',
        'tells the service of each visitor in a PROXY protocol header, which it must expect',
      ).choices(['v1', 'v2']),
    )
}

/** A tunnel with what these flags say of its target. Throws {@link CommandFailure}. */
export function withTarget(
  flags: AgentFlags,
  tunnel: Omit<TunnelSpec, 'targetTrust' | 'proxyProtocol' | 'allow' | 'deny'>,
): TunnelSpec {
  const { allowCidr: allow, denyCidr: deny, proxyProtocol } = flags
  return {
    ...tunnel,
    targetTrust: targetTrust(flags),
    ...(proxyProtocol === undefined ? {} : { proxyProtocol }),
    ...(allow === undefined ? {} : { allow }),
    ...(deny === undefined ? {} : { deny }),
  }
}

/** Adds one network, or several with commas between them, to those of the same flag before. */
function addNetworks(text: string, before: readonly string[] = []): readonly string[] {
  return argument(() => {
    const networks = [...before, ...text.split(',').map((one) => one.trim())]
    parseNetworks(networks)
    if (networks.length > maxNetworks) throw new MillraceError('ERR_NETWORK', `more than ${maxNetworks} of them`)
    return networks
  })
}

/** Parses a port for commander; 0 means any. */
export function portFlag(text: string): number {
  if (!/^\d{1,5}$/.test(text) || Number(text) > 65_535) throw new InvalidArgumentError('A port is 0 to 65535.')
  return Number(text)
}

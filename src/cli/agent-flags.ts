import { type Command, InvalidArgumentError, Option } from 'commander'
import type { TunnelSpec } from '../agent/options.ts'
import { parseTarget } from '../net/address.ts'
import type { ProxyProtocolVersion } from '../net/proxy-protocol-header.ts'
import { targetTrust } from './agent-secrets.ts'
import { addSessionFlags, argument, type SessionFlags } from './session-flags.ts'

/** The flags that all commands with a TARGET share, as commander gives them. */
export interface AgentFlags extends SessionFlags {
  readonly proxyProtocol?: ProxyProtocolVersion
  readonly targetCa?: string
  readonly targetInsecureSkipVerify?: boolean
}

/** Adds TARGET and the flags that every such command has. */
export function addAgentFlags(command: Command): Command {
  return addSessionFlags(command)
    .argument('<target>', 'the service: PORT, HOST:PORT, [V6]:PORT, unix:/PATH or https://HOST:PORT', (text) =>
      argument(() => parseTarget(text)),
    )
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
export function withTarget(flags: AgentFlags, tunnel: Omit<TunnelSpec, 'targetTrust' | 'proxyProtocol'>): TunnelSpec {
  const { proxyProtocol } = flags
  return { ...tunnel, targetTrust: targetTrust(flags), ...(proxyProtocol === undefined ? {} : { proxyProtocol }) }
}

/** Parses a port for commander; 0 means any. */
export function portFlag(text: string): number {
  if (!/^\d{1,5}$/.test(text) || Number(text) > 65_535) throw new InvalidArgumentError('A port is 0 to 65535.')
  return Number(text)
}

import type { Command } from 'commander'
import type { Target } from '../net/address.ts'
import { type AgentFlags, addAgentFlags, portFlag, withTarget } from './agent-flags.ts'

interface TcpFlags extends AgentFlags {
  readonly remotePort: number
  readonly tls?: boolean
}

/** `millrace tcp TARGET`. */
export function register(program: Command): void {
  const command = program.command('tcp').description('exposes any TCP service at a port of the relay')
  addAgentFlags(command)
    .option('--remote-port <port>', "asks for this port of the relay's; 0 = any", portFlag, 0)
    .option('--tls', 'visitors speak TLS, which the relay ends with its certificate')
    .action(async (target: Target, flags: TcpFlags) => {
      const { runAgent } = await import('./agent-run.ts')
      process.exitCode = await runAgent(flags, [
        withTarget(flags, {
          protocol: 'tcp',
          target,
          remotePort: flags.remotePort,
          ...(flags.tls === true ? { relayTls: true } : {}),
        }),
      ])
    })
}

import { type Command, Option } from 'commander'
import type { TunnelProtocol } from '../agent/options.ts'
import type { Target } from '../net/address.ts'
import { type AgentFlags, addAgentFlags } from './agent-flags.ts'

interface HttpFlags extends AgentFlags {
  readonly subdomain?: string
  readonly hostname?: string
  readonly proto: Exclude<TunnelProtocol, 'tcp'>
  readonly auth?: string
}

/** `millrace http TARGET`. */
export function register(program: Command): void {
  const command = program
    .command('http')
    .description('exposes a web service at http:// and https:// names of the relay')
  addAgentFlags(command)
    .option('--subdomain <name>', "asks for NAME below the relay's domain")
    .addOption(new Option('--hostname <name>', 'asks for a whole host name').conflicts('subdomain'))
    .addOption(
      new Option('--proto <protocols>', 'what to expose; a relay without https serves http alone')
        .choices(['http', 'https', 'http+https'])
        .default('http+https'),
    )
    .option('--auth <user:password>', 'visitors must know this name and password (HTTP Basic)')
    .action(async (target: Target, flags: HttpFlags) => {
      // The value is a secret: no message repeats it.
      if (flags.auth !== undefined && !/^[^:]+:/.test(flags.auth)) command.error('error: --auth takes USER:PASSWORD')
      const { runAgent } = await import('./agent-run.ts')
      process.exitCode = await runAgent(flags, {
        protocol: flags.proto,
        target,
        ...(flags.subdomain === undefined ? {} : { subdomain: flags.subdomain }),
        ...(flags.hostname === undefined ? {} : { hostname: flags.hostname }),
        ...(flags.auth === undefined ? {} : { httpAuth: flags.auth }),
      })
    })
}

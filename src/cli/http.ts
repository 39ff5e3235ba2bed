import { type Command, Option } from 'commander'
import type { Target } from '../net/address.ts'
import { type AgentFlags, addAgentFlags, withTarget } from './agent-flags.ts'
import { addNameFlags, type NameFlags, namesOf } from './name-flags.ts'

type WebProtocol = 'http' | 'https' | 'http+https'

interface HttpFlags extends AgentFlags, NameFlags {
  /** Absent with `millrace https`. */
  readonly proto?: WebProtocol
  readonly auth?: string
}

/** `millrace http TARGET` and `millrace https TARGET`. */
export function register(program: Command): void {
  const http = program
    .command('http')
    .description('exposes a web service at http:// and https:// names of the relay')
    .addOption(
      new Option('--proto <protocols>', 'what to expose; a relay without https serves http alone')
        .choices(['http', 'https', 'http+https'])
        .default('http+https'),
    )
  addWebCommand(http)
  const https = program
    .command('https')
    .description('exposes a web service at an https:// name of the relay, which ends the TLS')
  addWebCommand(https)
}

function addWebCommand(command: Command): void {
  addNameFlags(addAgentFlags(command))
    .option('--auth <user:password>', 'visitors must know this name and password (HTTP Basic)')
    .action(async (target: Target, flags: HttpFlags) => {
      // The value is a secret: no message repeats it.
      if (flags.auth !== undefined && !/^[^:]+:/.test(flags.auth)) command.error('error: --auth takes USER:PASSWORD')
      const { runAgent } = await import('./agent-run.ts')
      process.exitCode = await runAgent(flags, [
        withTarget(flags, {
          protocol: flags.proto ?? 'https',
          target,
          ...namesOf(flags),
          ...(flags.auth === undefined ? {} : { httpAuth: flags.auth }),
        }),
      ])
    })
}

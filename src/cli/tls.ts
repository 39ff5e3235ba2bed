import type { Command } from 'commander'
import type { TunnelCertificate } from '../agent/options.ts'
import type { Target } from '../net/address.ts'
import { type AgentFlags, addAgentFlags, withTarget } from './agent-flags.ts'
import { addNameFlags, type NameFlags, namesOf } from './name-flags.ts'

interface TlsFlags extends AgentFlags, NameFlags {
  readonly crt?: string
  readonly key?: string
}

/** `millrace tls TARGET`. */
export function register(program: Command): void {
  const command = program
    .command('tls')
    .description("passes visitors' TLS through by its server name: the relay can't read it")
  addNameFlags(addAgentFlags(command))
    .option('--crt <file>', 'ends the TLS here, with this certificate chain (PEM); default: the service ends it')
    .option('--key <file>', 'the key of --crt, PEM')
    .action(async (target: Target, flags: TlsFlags) => {
      if ((flags.crt === undefined) !== (flags.key === undefined)) {
        command.error('error: --crt and --key belong together: give both or neither')
      }
      if (flags.crt === undefined && target.kind === 'tls') {
        command.error("error: visitors' TLS is passed on as it is: give the target as HOST:PORT, or --crt and --key")
      }
      const certificate = await certificateOf(flags)
      const { runAgent } = await import('./agent-run.ts')
      process.exitCode = await runAgent(flags, [
        withTarget(flags, {
          protocol: 'tls',
          target,
          ...namesOf(flags),
          ...(certificate === undefined ? {} : { certificate }),
        }),
      ])
    })
}

/** Rejects with ERR_CERTIFICATE. */
async function certificateOf({ crt, key }: TlsFlags): Promise<TunnelCertificate | undefined> {
  if (crt === undefined || key === undefined) return undefined
  const { readPair } = await import('../relay/certificates.ts')
  return await readPair(crt, key)
}

import type { Command } from 'commander'
import { addSessionFlags, type SessionFlags } from './session-flags.ts'

/** The flags of `millrace start`, as commander gives them. */
export interface StartFlags extends SessionFlags {
  readonly all?: boolean
  readonly check?: boolean
}

/** `millrace start NAME… | --all`. */
export function register(program: Command): void {
  const command = program
    .command('start')
    .description('exposes tunnels of the config file, and follows it as it changes')
    .argument('[name...]', 'which of its tunnels')
  addSessionFlags(command)
    .option('--all', 'all of its tunnels')
    .option('--check', 'only says whether the file is right; without names, all of it')
    .action(async (names: readonly string[], flags: StartFlags) => {
      const all = flags.all === true || (flags.check === true && names.length === 0)
      if (!all && names.length === 0) command.error('error: which tunnels? give names, or --all')
      if (flags.all === true && names.length > 0) command.error('error: give names or --all, not both')
      const { startTunnels } = await import('./start-run.ts')
      process.exitCode = await startTunnels(all ? 'all' : names, flags)
    })
}

import { readFileSync } from 'node:fs'
import { Command, CommanderError, type OutputConfiguration } from 'commander'
import * as config from './config.ts'
import * as doctor from './doctor.ts'
import { dieOnUnhandled, exitCodes, fail } from './exit.ts'
import * as http from './http.ts'
import * as login from './login.ts'
import * as relay from './relay.ts'
import * as reload from './reload.ts'
import * as start from './start.ts'
import * as tcp from './tcp.ts'
import * as tls from './tls.ts'
import * as token from './token.ts'

/** Parses the command line, runs the command, and ends the process with its exit code. */
export async function runCli(argv: readonly string[]): Promise<void> {
  dieOnUnhandled()
  process.exit(await exitCodeOf(createProgram(), argv))
}

/** Runs what a command line asks for; resolves with the exit code, when all has been said. */
export async function exitCodeOf(program: Command, argv: readonly string[]): Promise<number> {
  try {
    await program.parseAsync(argv)
    return Number(process.exitCode ?? exitCodes.ok)
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage
    fail(error)
    return exitCodes.refused
  }
}

/** The whole command line. Each command loads what it runs on only when it runs. */
export function createProgram(output: OutputConfiguration = {}): Command {
  const program = new Command('millrace')
    .configureOutput(output)
    .description('Exposes a service behind NAT through a relay of your own; speaks the ngrok 1.x protocol.')
    .version(packageVersion(), '-V, --version')
    .helpCommand(true)
    .showHelpAfterError('(millrace --help says more)')
    .exitOverride()
  for (const command of [relay, http, tls, tcp, start, config, login, token, reload, doctor]) command.register(program)
  return program
}

function packageVersion(): string {
  // The same distance from src/cli and from dist/cli.
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
  const { version } = JSON.parse(text) as { readonly version: string }
  return version
}

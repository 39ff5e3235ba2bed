import { type Command, InvalidArgumentError, Option } from 'commander'
import { tokenProtocols } from '../config/relay-settings.ts'
import { type HostPort, parseHostPort } from '../net/address.ts'
import { defaultTunnelPort } from '../net/enrolment.ts'
import type { CheckFlags, ListFlags, NewFlags, PlaceFlags } from './token-run.ts'

/** `millrace token new|list|revoke|check`. */
export function register(program: Command): void {
  const token = program.command('token').description('tokens, with which agents prove to a relay who they are')
  addNew(token)
  addPlace(token.command('list').description("shows the relay's tokens and what they allow"))
    .option('--json', 'as JSON')
    .action(async (flags: ListFlags) => (await import('./token-run.ts')).listTokens(flags))
  addPlace(
    token.command('revoke').description('takes tokens out of the tokens file: a running relay ends their agents'),
  )
    .argument('<name...>', 'names of tokens')
    .action(async (names: string[], flags: PlaceFlags) => (await import('./token-run.ts')).revokeTokens(names, flags))
  addPlace(token.command('check').description('says whose token this is, and whether the relay would take it now'))
    .argument('[-]', 'it is read from standard input (default: MILLRACE_TOKEN, if set)')
    .option('--from <address>', 'as if an agent came from this IP address')
    .action(async (from: string | undefined, flags: CheckFlags, command: Command) => {
      // A token in an argument would be in every ps.
      if (from !== undefined && from !== '-')
        command.error('error: give the token on standard input, or as MILLRACE_TOKEN')
      const { checkToken } = await import('./token-run.ts')
      process.exitCode = await checkToken(from, flags)
    })
}

function addNew(token: Command): void {
  addPlace(token.command('new').description('makes a token; it is shown now, and never again'))
    .option('--name <name>', "adds it to the relay's tokens file under this name; else its hash is for you to add")
    .option(
      '--enrol [host:port]',
      'adds it, and prints the one string for `millrace login`; the address is that for agents (default: DOMAIN:PORT)',
      address,
    )
    .option('--hostname <name...>', 'host names that it allows; * is for one label, **. for any below')
    .option('--subdomain <name...>', "the same below the relay's domain")
    .option('--tcp-ports <a-b...>', 'ports that it allows')
    .addOption(new Option('--protocol <name...>', 'protocols that it allows').choices(tokenProtocols))
    .option('--sessions <n>', 'agents at once', count)
    .option('--tunnels <n>', 'tunnels of all its agents', count)
    .option('--connections <n>', 'visitors of all its tunnels at once', count)
    .option('--bandwidth <n>', 'bytes per second of all its visitors together', count)
    .option('--network <cidr...>', 'networks that its agents may come from')
    .option('--deny-network <cidr...>', 'networks that its agents may not come from')
    .option('--expires <day>', 'from when on it is worth nothing: 2027-01-31, or 2027-01-31T12:00:00Z')
    .action(async (flags: NewFlags) => (await import('./token-run.ts')).newToken(flags))
}

function addPlace(command: Command): Command {
  return command
    .option('--config <file>', "the relay's config file, which says where its tokens are")
    .option('--state-dir <dir>', "the relay's state directory, if it isn't the usual one")
}

function address(text: string): HostPort {
  try {
    return parseHostPort(text, { port: defaultTunnelPort })
  } catch (error) {
    throw new InvalidArgumentError(error instanceof Error ? error.message : String(error))
  }
}

function count(text: string): number {
  if (!/^[1-9]\d{0,14}$/.test(text)) throw new InvalidArgumentError('A whole number from 1 on is wanted.')
  return Number(text)
}

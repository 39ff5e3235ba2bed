import { type Command, Option } from 'commander'

/** The flags of all tunnels that have a host name. */
export interface NameFlags {
  readonly subdomain?: string
  readonly hostname?: string
}

/** Adds `--subdomain` and `--hostname`. */
export function addNameFlags(command: Command): Command {
  return command
    .option('--subdomain <name>', "asks for NAME below the relay's domain")
    .addOption(new Option('--hostname <name>', 'asks for a whole host name').conflicts('subdomain'))
}

/** What a tunnel's settings say about its name. */
export function namesOf({ subdomain, hostname }: NameFlags): NameFlags {
  return {
    ...(subdomain === undefined ? {} : { subdomain }),
    ...(hostname === undefined ? {} : { hostname }),
  }
}

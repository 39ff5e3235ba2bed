import { relaySettings } from '../config/relay-config.ts'
import { askRelay } from '../control/client.ts'
import { CommandFailure } from './exit.ts'

/** `millrace reload`. Rejects with why the relay refuses the settings, or that none runs. */
export async function runReload(config: string | undefined, stateDir: string | undefined): Promise<void> {
  const { live, later } = await ask('reload', config, stateDir)
  process.stdout.write(`${describeReload(names(live), names(later))}\n`)
}

/** `millrace status`. */
export async function runStatus(config: string | undefined, stateDir: string | undefined): Promise<void> {
  const { ok: _, ...status } = await ask('status', config, stateDir)
  for (const [name, value] of Object.entries(status)) process.stdout.write(`${name}: ${String(value)}\n`)
}

function describeReload(live: readonly string[], later: readonly string[]): string {
  const changed = live.length === 0 ? 'nothing new' : `changed: ${live.join(', ')}`
  return later.length === 0 ? changed : `${changed}; after a restart: ${later.join(', ')}`
}

function names(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.map(String) : []
}

async function ask(
  type: string,
  config: string | undefined,
  stateDir: string | undefined,
): Promise<Readonly<Record<string, unknown>>> {
  const reply = await askRelay(await pathOf(config, stateDir), { type })
  if (!reply.ok) throw new CommandFailure(reply.error ?? 'the relay refused without a reason')
  return reply
}

/** A file that is bad now is for the relay to refuse: with a state directory it isn't read here. */
async function pathOf(config: string | undefined, stateDir: string | undefined): Promise<string> {
  const flags = stateDir === undefined ? {} : { state_dir: stateDir }
  return (await relaySettings(flags, stateDir === undefined ? config : undefined)).controlSocket
}

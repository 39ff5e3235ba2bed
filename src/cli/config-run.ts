import { writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import { agentConfig, defaultAgentFile } from '../config/agent-config.ts'
import { agentSchema } from '../config/agent-schema.ts'
import { parseConfig, readConfig } from '../config/load.ts'
import { importNgrok, parseNgrok } from '../config/ngrok-import.ts'
import { otherForms } from '../config/parsed.ts'
import { relaySettings } from '../config/relay-config.ts'
import { relaySchema } from '../config/relay-schema.ts'
import { CommandFailure } from './exit.ts'
import { checkRelayFiles } from './relay-check.ts'
import { tunnelSpecs } from './tunnel-specs.ts'

/** `millrace config check`. Rejects with every fault of the file. */
export async function checkConfig(file: string | undefined, whom: 'agent' | 'relay'): Promise<void> {
  if (whom === 'relay') {
    if (file === undefined) throw new CommandFailure('which file? a relay has no default one')
    await checkRelayFiles(await relaySettings({}, file))
    process.stdout.write(`${file}: right\n`)
    return
  }
  const config = await agentConfig(file)
  if (config === undefined) throw new CommandFailure(`there is no ${defaultAgentFile()}`)
  const count = Object.keys(config.given.tunnels ?? {}).length
  // The certificates that they name must be there, too.
  if (count > 0) await tunnelSpecs(config.file, config.given, 'all')
  process.stdout.write(`${config.file}: right, ${count} tunnels\n`)
}

/** `millrace config schema`. */
export async function printSchema(whom: 'agent' | 'relay'): Promise<void> {
  const schema = z.toJSONSchema(whom === 'relay' ? relaySchema : agentSchema, {
    io: 'input',
    unrepresentable: 'any',
    override: ({ jsonSchema, zodSchema }) => {
      const form = otherForms.get(zodSchema)
      if (form === undefined) return
      const own = { ...jsonSchema }
      for (const key of Object.keys(own)) Reflect.deleteProperty(jsonSchema, key)
      jsonSchema.anyOf = [own, form.also]
    },
  })
  process.stdout.write(`${JSON.stringify({ title: `millrace ${whom}`, ...schema }, undefined, 2)}\n`)
}

/** `millrace config import`. What has no equivalent is told on standard error, and stands in the file as a comment. */
export async function importConfig(from: string | undefined, out: string | undefined): Promise<void> {
  const file = from ?? join(homedir(), '.ngrok')
  const { text, notes } = importNgrok(parseNgrok(await readConfig(file), file))
  // Theirs may say what ours refuses: found out now, not at the first start.
  parseConfig(text, out ?? 'the imported file', agentSchema)
  for (const note of notes) process.stderr.write(`millrace: ${note}\n`)
  if (out === undefined) process.stdout.write(text)
  else await write(out, text)
}

async function write(out: string, text: string): Promise<void> {
  try {
    await writeFile(out, text, { mode: 0o600, flag: 'wx' })
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown'
    const why = code === 'EEXIST' ? 'it is there already' : code
    throw new CommandFailure(`cannot write ${out} (${why})`, { cause: error })
  }
  process.stdout.write(`written: ${out}\n`)
}

import { randomBytes } from 'node:crypto'
import { chmod, chown, mkdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { Document, isMap, isSeq, parseDocument } from 'yaml'
import { faultText } from '../config/fault-text.ts'
import { parseConfig } from '../config/load.ts'
import { tokensFileSchema } from '../config/token-schema.ts'
import { readTokensFile } from '../config/tokens-file.ts'
import { PidLock } from '../pid-lock.ts'
import { CommandFailure } from './exit.ts'

/** How long a command waits for another one's edit, ms. */
const lockMs = 5_000

/** An entry as the file has it. */
export type RawEntry = Readonly<Record<string, unknown>> & { readonly name: string; readonly sha256: string }

/** Adds an entry to a tokens file, comments and order kept. Rejects with {@link CommandFailure} when it would be a bad one. */
export async function addEntry(file: string, entry: RawEntry): Promise<void> {
  const faults = entryFaults(entry)
  if (faults.length > 0) throw new CommandFailure(faults.join('; '))
  await edit(file, (text, names) => {
    if (names.includes(entry.name)) throw new CommandFailure('--name: there is a token with this name already')
    const old = parseDocument(text)
    const document = isMap(old.contents) ? old : new Document({})
    if (isSeq(document.get('tokens'))) document.addIn(['tokens'], document.createNode(entry))
    else document.set('tokens', document.createNode([entry]))
    const next = document.toString()
    parseConfig(next, file, tokensFileSchema)
    return next
  })
}

/** Takes entries out by their names. Rejects with {@link CommandFailure} when there is none, and takes none out then. */
export async function removeEntries(file: string, names: readonly string[]): Promise<void> {
  await edit(file, (text) => {
    const document = parseDocument(text)
    const tokens = document.get('tokens')
    for (const name of names) {
      const items = isSeq(tokens) ? tokens.items : []
      const index = items.findIndex((item) => isMap(item) && item.get('name') === name)
      if (index === -1) throw new CommandFailure(`there is no token ${JSON.stringify(name)} in ${file}`)
      items.splice(index, 1)
    }
    return document.toString()
  })
}

/** The relay may run as another user than whoever administers it: root's files are given to the folder's owner. */
export async function giveToOwner(file: string): Promise<void> {
  if (process.getuid?.() !== 0) return
  const { uid, gid } = await stat(dirname(file))
  await chown(file, uid, gid)
}

/** What is wrong with an entry, by the flag that said it: where it would stand in the file is no place to look at yet. */
function entryFaults(entry: RawEntry): readonly string[] {
  const result = tokensFileSchema.safeParse({ tokens: [entry] })
  if (result.success) return []
  return result.error.issues.map((issue) => {
    const key = String(issue.path[2])
    const value: unknown = Reflect.get(entry, key)
    return `${flags[key] ?? `--${key}`}: ${faultText(issue, value)}`
  })
}

/** Flags that are not called as their keys. */
const flags: Readonly<Record<string, string>> = {
  hostnames: '--hostname',
  subdomains: '--subdomain',
  tcp_ports: '--tcp-ports',
  protocols: '--protocol',
  networks: '--network',
  deny_networks: '--deny-network',
}

/** One edit at a time: of two that read the same file, the later would undo the earlier. */
async function edit(file: string, change: (text: string, names: readonly string[]) => string): Promise<void> {
  const lock = new PidLock(`${file}.lock`)
  try {
    await mkdir(dirname(file), { recursive: true, mode: 0o700 })
    if (!(await lock.takeWithin(lockMs))) throw new CommandFailure(`${file} is being changed by another command`)
  } catch (error) {
    throw cannotWrite(file, error)
  }
  try {
    const { text = '', entries } = await readTokensFile(file)
    const names = entries.map(({ name }) => name)
    await replace(file, change(text, names))
  } finally {
    await lock.release()
  }
}

async function replace(file: string, text: string): Promise<void> {
  const temporary = `${file}.${randomBytes(4).toString('hex')}`
  try {
    await writeFile(temporary, text, { mode: 0o600, flag: 'wx' })
    const old = await stat(file).catch(() => undefined)
    if (old !== undefined) await chmod(temporary, old.mode & 0o777)
    if (old !== undefined && process.getuid?.() === 0) await chown(temporary, old.uid, old.gid)
    else await giveToOwner(temporary)
    await rename(temporary, file)
  } catch (error) {
    await rm(temporary, { force: true })
    throw cannotWrite(file, error)
  }
}

function cannotWrite(file: string, error: unknown): CommandFailure {
  if (error instanceof CommandFailure) return error
  const why = error instanceof Error && 'code' in error ? String(error.code) : 'unknown'
  return new CommandFailure(`cannot write ${file} (${why})`, { cause: error })
}

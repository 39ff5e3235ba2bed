import { readFile } from 'node:fs/promises'
import { isMap, isSeq, LineCounter, type Node, parseDocument } from 'yaml'
import type { z } from 'zod'
import { MillraceError } from '../errors.ts'
import { closestName } from './closest-name.ts'
import { faultText } from './fault-text.ts'
import { keysAt } from './schema-keys.ts'

/**
 * Reads a YAML file and checks it. Rejects with ERR_CONFIG: `file:line:column: path: message`, one for each fault, as
 * they stand in the file, joined by `; `. Values are never quoted: they may be secrets.
 */
export async function loadConfig<S extends z.ZodType>(file: string, schema: S): Promise<z.output<S>> {
  return parseConfig(await readConfig(file), file, schema)
}

/** Reads a config file's text. Rejects with ERR_CONFIG. */
export async function readConfig(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new MillraceError('ERR_CONFIG', `the config file cannot be read: ${why}`, { cause: error })
  }
}

/** Checks YAML text; `file` is only named in errors. Throws as {@link loadConfig} rejects. */
export function parseConfig<S extends z.ZodType>(text: string, file: string, schema: S): z.output<S> {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false })
  const at = (offset: number): string => {
    const { line, col } = lines.linePos(offset)
    return `${file}:${line}:${col}`
  }
  if (document.errors.length > 0) {
    const faults = document.errors.map(({ message, pos }) => `${at(pos[0])}: ${message}`)
    throw new MillraceError('ERR_CONFIG', faults.join('; '))
  }
  // An empty file says nothing, which is allowed.
  const result = schema.safeParse(document.toJS() ?? {})
  if (result.success) return result.data
  const faults = result.error.issues.flatMap((issue): readonly Fault[] => {
    const node = nodeAt(document.contents, issue.path)
    const path = issue.path.length === 0 ? '' : `${issue.path.map(String).join('.')}: `
    if (issue.code !== 'unrecognized_keys') {
      const text = faultText(issue, valueAt(document.toJS(), issue.path))
      return [{ offset: startOf(node) ?? 0, text: `${path}${text}` }]
    }
    const known = keysAt(schema, issue.path)
    return issue.keys.map((key) => ({ offset: keyOffset(node, key), text: `${path}${unknownKey(key, known)}` }))
  })
  const sentences = faults.sort((a, b) => a.offset - b.offset).map(({ offset, text }) => `${at(offset)}: ${text}`)
  throw new MillraceError('ERR_CONFIG', sentences.join('; '))
}

interface Fault {
  /** Where in the text. */
  readonly offset: number
  readonly text: string
}

function valueAt(root: unknown, path: readonly PropertyKey[]): unknown {
  let value = root
  for (const step of path) value = typeof value === 'object' && value !== null ? Reflect.get(value, step) : undefined
  return value
}

function unknownKey(key: string, known: readonly string[]): string {
  const meant = closestName(key, known)
  return `Unrecognized key: "${key}"${meant === undefined ? '' : ` (did you mean "${meant}"?)`}`
}

/** The node at a path, or the nearest thing around a missing one. */
function nodeAt(root: unknown, path: readonly PropertyKey[]): unknown {
  let node = root
  for (const step of path) {
    const next = isMap(node) || isSeq(node) ? node.get(step, true) : undefined
    if (next === undefined) break
    node = next
  }
  return node
}

function keyOffset(node: unknown, key: string): number {
  const item = isMap(node) ? node.items.find((one) => String(one.key) === key) : undefined
  return startOf(item?.key) ?? startOf(node) ?? 0
}

function startOf(node: unknown): number | undefined {
  return typeof node === 'object' && node !== null && 'range' in node ? (node as Node).range?.[0] : undefined
}

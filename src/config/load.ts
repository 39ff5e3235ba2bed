import { readFile } from 'node:fs/promises'
import { isMap, isSeq, LineCounter, type Node, parseDocument } from 'yaml'
import type { z } from 'zod'
import { MillraceError } from '../errors.ts'

/**
 * Reads a YAML file and checks it. Rejects with ERR_CONFIG: `file:line:column: path: message`, one for each fault,
 * joined by `; `. Values are never quoted: they may be secrets.
 */
export async function loadConfig<S extends z.ZodType>(file: string, schema: S): Promise<z.output<S>> {
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new MillraceError('ERR_CONFIG', `the config file cannot be read: ${why}`, { cause: error })
  }
  return parseConfig(text, file, schema)
}

/** Checks YAML text; `file` is only named in errors. Throws as {@link loadConfig} rejects. */
export function parseConfig<S extends z.ZodType>(text: string, file: string, schema: S): z.output<S> {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false })
  const at = (offset: number): string => {
    const { line, col } = lines.linePos(offset)
    return `${file}:${line}:${col}`
  }
  const [fault] = document.errors
  if (fault !== undefined) throw new MillraceError('ERR_CONFIG', `${at(fault.pos[0])}: ${fault.message}`)
  // An empty file says nothing, which is allowed.
  const result = schema.safeParse(document.toJS() ?? {})
  if (result.success) return result.data
  const faults = result.error.issues.map((issue) => {
    const offset = offsetOf(document.contents, issue)
    const path = issue.path.length === 0 ? '' : `${issue.path.map(String).join('.')}: `
    return `${at(offset)}: ${path}${issue.message}`
  })
  throw new MillraceError('ERR_CONFIG', faults.join('; '))
}

/** Where an issue lies: at the unknown key, the bad value, or the nearest thing around a missing one. */
function offsetOf(root: unknown, issue: z.core.$ZodIssue): number {
  let node = root
  for (const step of issue.path) {
    const next = childOf(node, step)
    if (next === undefined) break
    node = next
  }
  if (issue.code === 'unrecognized_keys' && isMap(node)) {
    const unknown = node.items.find((item) => String(item.key) === issue.keys[0])
    return startOf(unknown?.key) ?? startOf(node) ?? 0
  }
  return startOf(node) ?? 0
}

function childOf(node: unknown, step: PropertyKey): unknown {
  if (isMap(node)) return node.get(step, true)
  return isSeq(node) ? node.get(step, true) : undefined
}

function startOf(node: unknown): number | undefined {
  return typeof node === 'object' && node !== null && 'range' in node ? (node as Node).range?.[0] : undefined
}

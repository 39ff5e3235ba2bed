import type { z } from 'zod'
import { closestName } from './closest-name.ts'

/** What the checker's types are called in front of operators. */
const types: Readonly<Record<string, string>> = {
  array: 'a list',
  boolean: 'true or false',
  int: 'a whole number',
  number: 'a number',
  object: 'keys and values',
  record: 'keys and values',
  string: 'a text',
}

/**
 * A fault in plain words. `value` is what stands there; it may be a secret and is not quoted, but what it was meant to be is
 * (`did you mean`).
 */
export function faultText(issue: z.core.$ZodIssue, value: unknown): string {
  if (issue.code === 'invalid_type' && value === undefined) return 'is missing'
  const expected = expectations(issue)
  if (expected.length === 0) return issue.message
  const names = choices(issue)
  const meant = typeof value === 'string' ? closestName(value, names) : undefined
  return `expected ${expected.join(' or ')}${meant === undefined ? '' : ` (did you mean "${meant}"?)`}`
}

/** What would be right, one by one; none when the message says it better. */
function expectations(issue: z.core.$ZodIssue): readonly string[] {
  switch (issue.code) {
    case 'invalid_type':
      return [types[issue.expected] ?? issue.expected]
    case 'invalid_value':
      return issue.values.map((value) => JSON.stringify(value))
    case 'invalid_union':
      return issue.errors.flatMap((issues) => issues.flatMap(expectations))
    case 'too_small':
      if (issue.origin === 'array' || issue.origin === 'string') return issue.minimum === 1 ? ['something in it'] : []
      return [`${issue.minimum} or more`]
    case 'too_big':
      return issue.origin === 'array' || issue.origin === 'string' ? [] : [`${issue.maximum} at most`]
    case 'custom':
    case 'invalid_element':
    case 'invalid_format':
    case 'invalid_key':
    case 'not_multiple_of':
    case 'unrecognized_keys':
      return []
  }
}

function choices(issue: z.core.$ZodIssue): readonly string[] {
  if (issue.code === 'invalid_union') return issue.errors.flatMap((issues) => issues.flatMap(choices))
  return issue.code === 'invalid_value' ? issue.values.filter((value) => typeof value === 'string') : []
}

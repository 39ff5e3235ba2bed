import { z } from 'zod'
import { type LimitTable, snakeCase } from '../limits/limit.ts'

/** What a config file may say of the limits of a table: each within its range. Unknown keys are errors. */
export function limitsSchema(table: LimitTable) {
  const keys = Object.entries(table).flatMap(([name, { range, what }]) =>
    range === undefined ? [] : [[snakeCase(name), z.int().min(range[0]).max(range[1]).optional().describe(what)]],
  )
  return z.strictObject(Object.fromEntries(keys) as Readonly<Record<string, z.ZodOptional<z.ZodInt>>>)
}

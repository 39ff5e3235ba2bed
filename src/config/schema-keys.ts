import { z } from 'zod'

/** The keys that an object at this path of a document may have; none where the schema doesn't say. */
export function keysAt(schema: z.core.$ZodType, path: readonly PropertyKey[]): readonly string[] {
  let at: z.core.$ZodType | undefined = plain(schema)
  for (const step of path) {
    at = at === undefined ? undefined : childAt(at, step)
    if (at === undefined) return []
  }
  return at instanceof z.ZodObject ? Object.keys(at.shape) : []
}

function childAt(schema: z.core.$ZodType, step: PropertyKey): z.core.$ZodType | undefined {
  if (schema instanceof z.ZodObject) {
    const child: unknown = schema.shape[String(step)]
    return child instanceof z.ZodType ? plain(child) : undefined
  }
  if (schema instanceof z.ZodArray) return plain(schema.element)
  if (schema instanceof z.ZodRecord) return plain(schema.valueType)
  return undefined
}

/** Without what is wrapped around it. */
function plain(schema: z.core.$ZodType): z.core.$ZodType {
  if (schema instanceof z.ZodOptional) return plain(schema.unwrap())
  // A preprocessed value is judged by what comes out of it, a transformed one by what goes in.
  if (schema instanceof z.ZodPipe) return plain(schema.in instanceof z.ZodTransform ? schema.out : schema.in)
  return schema
}

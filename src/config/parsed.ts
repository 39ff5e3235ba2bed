import { z } from 'zod'

/** A string that `parse` understands; what it throws is the issue's message. */
export function parsed<T>(parse: (text: string) => T) {
  return z.string().transform((text, context) => {
    try {
      return parse(text)
    } catch (error) {
      context.addIssue({ code: 'custom', message: error instanceof Error ? error.message : String(error) })
      return z.NEVER
    }
  })
}

/** What else may stand where a value is preprocessed, as JSON Schema: a schema of our own can't tell. */
export const otherForms = z.registry<{ readonly also: Readonly<Record<string, unknown>> }>()

/** A value that is brought into form first; `also` describes what is taken besides what `schema` says. */
export function formed<S extends z.ZodType>(
  also: Readonly<Record<string, unknown>>,
  form: (value: unknown) => unknown,
  schema: S,
) {
  const made = z.preprocess(form, schema)
  otherForms.add(made, { also })
  return made
}

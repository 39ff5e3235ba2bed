import fc from 'fast-check'
import type { Message } from '../../src/wire/messages.ts'
import { type FieldSpec, messageTypes, schemaOf } from '../../src/wire/schema.ts'

const text = fc.string({ unit: 'grapheme', maxLength: 40 })

function fieldArbitrary(spec: FieldSpec): fc.Arbitrary<unknown> {
  switch (spec.kind) {
    case 'string':
      return text
    case 'uint16':
      return fc.integer({ min: 0, max: 0xffff })
    case 'time':
      return fc.double({ min: 0, noNaN: true, noDefaultInfinity: true }).map((time) => time + 0)
    case 'boolean':
      return fc.boolean()
    case 'strings':
      return fc.array(text, { maxLength: 6 })
  }
}

function messageOf(type: string): fc.Arbitrary<Message> {
  const fields = schemaOf(type)?.ordered ?? []
  const requiredKeys = ['type', ...fields.filter(({ spec }) => !spec.optional).map(({ name }) => name)]
  const model: Record<string, fc.Arbitrary<unknown>> = { type: fc.constant(type) }
  for (const { name, spec } of fields) model[name] = fieldArbitrary(spec)
  return fc.record(model, { requiredKeys, noNullPrototype: true }) as fc.Arbitrary<unknown> as fc.Arbitrary<Message>
}

/** Any message with any values that the protocol allows, all of which fit one record. */
export const anyMessage: fc.Arbitrary<Message> = fc.oneof(...messageTypes.map(messageOf))

/** Bounds a property by time as well: on a busy machine fewer runs are no failure. */
export const bounded = { numRuns: 300, interruptAfterTimeLimit: 3_000, markInterruptAsFailure: false } as const

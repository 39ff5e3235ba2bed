import { z } from 'zod'
import { tokenLimits } from '../limits/token.ts'
import { parsePortRange, validateHostname } from '../net/address.ts'
import { parseNetworks } from '../net/networks.ts'
import { formed, parsed } from './parsed.ts'
import { tokenNamePattern, tokenProtocols } from './relay-settings.ts'

/** SHA-256 of a token; lower case afterwards. */
export const tokenHash = z
  .string()
  .regex(/^[0-9a-f]{64}$/i, 'expected the SHA-256 of a token: 64 hex digits')
  .transform((text) => text.toLowerCase())

/** A name whose labels may hold `*`, or that begins with `**.`. */
const hostGlob = parsed((text) => {
  const below = text.startsWith('**.') ? '**.' : ''
  const name = text.slice(below.length)
  // Whether it is a name shows once each star stands for something.
  validateHostname(name.replaceAll('*', 'x'))
  return below + name.replace(/\.$/, '').toLowerCase()
})

const portRanges = formed(
  { type: ['integer', 'string'] },
  (value): unknown => (Array.isArray(value) ? value : [value]),
  z.array(
    formed({ type: 'integer' }, (value) => (typeof value === 'number' ? String(value) : value), parsed(parsePortRange)),
  ),
)

const network = parsed((text) => {
  parseNetworks([text])
  return text
})

/** A day (its first moment, UTC) or a moment with its zone; ms since 1970 afterwards. */
const moment = z.preprocess(
  (value) => (value instanceof Date ? value.toISOString() : value),
  parsed((text) => {
    const time = /^\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d))?$/.test(text)
      ? Date.parse(text)
      : Number.NaN
    if (Number.isNaN(time))
      throw new Error('expected a day (2027-01-31) or a moment with its zone (2027-01-31T12:00:00Z)')
    return time
  }),
)

const limit = (name: keyof typeof tokenLimits) => {
  const [least, most] = tokenLimits[name].range
  return z.int().min(least).max(most).optional()
}

const token = z.strictObject({
  name: z.string().regex(tokenNamePattern, 'expected 1 to 100 printable characters'),
  sha256: tokenHash,
  hostnames: z.array(hostGlob).optional(),
  subdomains: z.array(hostGlob).optional(),
  tcp_ports: portRanges.optional(),
  protocols: z.array(z.enum(tokenProtocols)).min(1).optional(),
  sessions: limit('sessions'),
  tunnels: limit('tunnels'),
  connections: limit('connections'),
  bandwidth: limit('bandwidth'),
  networks: z.array(network).min(1).optional(),
  deny_networks: z.array(network).min(1).optional(),
  expires: moment.optional(),
  disabled: z.boolean().optional(),
})

/** A list of tokens: each name and each hash once. */
export const tokenList = z.array(token).superRefine((list, context) => {
  for (const key of ['name', 'sha256'] as const) {
    for (const [index, entry] of list.entries()) {
      if (list.findIndex((other) => other[key] === entry[key]) === index) continue
      context.addIssue({ code: 'custom', path: [index, key], message: `there is a token with this ${key} already` })
    }
  }
})

/** The tokens file. */
export const tokensFileSchema = z.strictObject({ tokens: tokenList.optional() })

/** One token as a file has it. */
export type TokenFileEntry = z.output<typeof token>

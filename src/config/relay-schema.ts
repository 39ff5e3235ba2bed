import { z } from 'zod'
import { relayLimits } from '../limits/relay.ts'
import { parsePortRange } from '../net/address.ts'
import { parseNetworks } from '../net/networks.ts'
import { limitsSchema } from './limits-schema.ts'
import { formed, parsed } from './parsed.ts'
import {
  defaultHstsSeconds,
  maxHstsSeconds,
  parseCertificateName,
  parseDomain,
  parseListenAddress,
} from './relay-settings.ts'
import { tlsVersion } from './tls-version.ts'
import { tokenHash, tokenList } from './token-schema.ts'

const listenAddress = parsed(parseListenAddress)
const path = z.string().min(1)
const network = parsed((text) => {
  parseNetworks([text])
  return text
})
const certificate = z.strictObject({ name: parsed(parseCertificateName), cert: path, key: path })
const certificates = z.array(certificate).superRefine((list, context) => {
  for (const [index, { name }] of list.entries()) {
    if (list.findIndex((other) => other.name === name) === index) continue
    context.addIssue({ code: 'custom', path: [index, 'name'], message: 'there is one for this name already' })
  }
})
/** A folder, or a list; told apart here, as a union's errors would not say where the fault lies. */
const certificatePlace = z.unknown().transform((value, context) => {
  const result = (Array.isArray(value) ? certificates : path).safeParse(value)
  if (result.success) return result.data
  // As they are: an unknown key is then found in the file.
  for (const issue of result.error.issues) context.issues.push(issue as (typeof context.issues)[number])
  return z.NEVER
})
/** Seconds; `true` is the default. */
const hsts = formed(
  { type: 'boolean' },
  (value) => (value === true ? defaultHstsSeconds : value === false ? undefined : value),
  z.int().min(0).max(maxHstsSeconds).optional(),
)
/** The relay's config file: the long flags with `_` for `-`, and what has no flag. Unknown keys are errors. */
export const relaySchema = z.strictObject({
  tunnel_addr: listenAddress.optional(),
  http_addr: listenAddress.optional(),
  https_addr: listenAddress.optional(),
  tcp_ports: formed(
    { type: 'integer' },
    (value) => (typeof value === 'number' ? String(value) : value),
    parsed(parsePortRange),
  ).optional(),
  domain: parsed(parseDomain).optional(),
  allow: z.array(network).optional(),
  deny: z.array(network).optional(),
  proxy_protocol_from: z.array(network).optional(),
  tls_cert: path.optional(),
  tls_key: path.optional(),
  tls_min_version: tlsVersion.optional(),
  https_certs: certificatePlace.optional(),
  https_redirect: z.boolean().optional(),
  hsts: hsts.optional(),
  token_sha256: formed(
    { type: 'string' },
    (value) => (typeof value === 'string' ? [value] : value),
    z.array(tokenHash),
  ).optional(),
  tokens: tokenList.optional(),
  tokens_file: path.optional(),
  open: z.boolean().optional(),
  lanes: z.boolean().optional(),
  allow_plain: z.union([z.boolean(), z.literal('passthrough')]).optional(),
  state_dir: path.optional(),
  control_socket: path.optional(),
  log_format: z.enum(['pretty', 'json']).optional(),
  /** Seconds. */
  drain_timeout: z.number().min(0).max(86_400).optional(),
  /** Seconds. */
  name_grace: z.number().min(0).max(86_400).optional(),
  limits: limitsSchema(relayLimits).optional(),
})

/** What a valid config file says. */
export type RelayFile = z.output<typeof relaySchema>

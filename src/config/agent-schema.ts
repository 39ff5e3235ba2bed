import { z } from 'zod'
import { agentLimits } from '../limits/agent.ts'
import { parseHostPort, parseTarget, validateHostname } from '../net/address.ts'
import { defaultTunnelPort } from '../net/enrolment.ts'
import { parseNetworks } from '../net/networks.ts'
import { parseProxy } from '../net/proxy-server.ts'
import { maxNetworks } from '../wire/limits.ts'
import { limitsSchema } from './limits-schema.ts'
import { formed, parsed } from './parsed.ts'
import { tlsVersion } from './tls-version.ts'

const path = z.string().min(1)
const relay = parsed((text) => parseHostPort(text, { port: defaultTunnelPort }))
const hostname = parsed((text) => {
  validateHostname(text)
  return text
})
const target = formed(
  { type: 'integer' },
  (value) => (typeof value === 'number' ? String(value) : value),
  parsed(parseTarget),
)
/** One network, or several. */
const networks = formed(
  { type: 'string' },
  (value) => (typeof value === 'string' ? [value] : value),
  z
    .array(
      parsed((text) => {
        parseNetworks([text])
        return text
      }),
    )
    .min(1)
    .max(maxNetworks),
)
const secret = z.string().regex(/^\S+$/, 'expected a text without spaces')

const protocols = ['http', 'https', 'http+https', 'tcp', 'tls'] as const
/** One protocol, or `[http, https]` for both. */
const proto = formed(
  { type: 'array', items: { enum: ['http', 'https', 'tcp', 'tls'] } },
  (value) =>
    Array.isArray(value) && value.every((one) => typeof one === 'string') ? [...value].sort().join('+') : value,
  z.enum(protocols),
)

/** Which keys are for which protocols only. */
const only: Readonly<Record<string, readonly (typeof protocols)[number][]>> = {
  subdomain: ['http', 'https', 'http+https', 'tls'],
  hostname: ['http', 'https', 'http+https', 'tls'],
  auth: ['http', 'https', 'http+https'],
  remote_port: ['tcp'],
  tls: ['tcp'],
  crt: ['tls'],
  key: ['tls'],
}

const tunnel = z
  .strictObject({
    proto,
    addr: target,
    subdomain: z.string().min(1).optional(),
    hostname: hostname.optional(),
    remote_port: z.int().min(0).max(65_535).optional(),
    auth: z
      .string()
      .regex(/^[^:]+:/, 'expected USER:PASSWORD')
      .optional(),
    tls: z.boolean().optional(),
    allow: networks.optional(),
    deny: networks.optional(),
    crt: path.optional(),
    key: path.optional(),
    target_ca: path.optional(),
    target_insecure_skip_verify: z.boolean().optional(),
    proxy_protocol: z.enum(['v1', 'v2']).optional(),
  })
  .superRefine((given, context) => {
    const fault = (key: string, message: string): void => {
      context.addIssue({ code: 'custom', path: [key], message })
    }
    for (const [key, allowed] of Object.entries(only)) {
      if (Reflect.get(given, key) === undefined || allowed.includes(given.proto)) continue
      fault(key, `is for ${allowed.join(', ')} tunnels, and this one is ${given.proto}`)
    }
    if (given.subdomain !== undefined && given.hostname !== undefined) {
      fault('hostname', 'excludes subdomain: give one of them')
    }
    if ((given.crt === undefined) !== (given.key === undefined)) {
      fault(given.crt === undefined ? 'key' : 'crt', 'crt and key belong together: give both or neither')
    }
    if (given.proto === 'tls' && given.crt === undefined && given.addr.kind === 'tls') {
      fault('addr', "visitors' TLS is passed on as it is: give HOST:PORT, or crt and key")
    }
    if (given.target_ca !== undefined && given.target_insecure_skip_verify === true) {
      fault('target_insecure_skip_verify', 'excludes target_ca: give one of them')
    }
  })

/** The agent's config file, with ngrok's words for tunnels. Unknown keys are errors. */
export const agentSchema = z
  .strictObject({
    relay: formed(
      { type: 'string' },
      (value) => (typeof value === 'string' ? value.split(',').map((one) => one.trim()) : value),
      z.array(relay).min(1),
    ).optional(),
    token: secret.optional(),
    token_file: path.optional(),
    ca: path.optional(),
    pin: z
      .string()
      .regex(/^(?:[0-9a-fA-F]{64}|[A-Za-z0-9+/]{43}=)$/, 'expected a SHA-256 in hex or base64')
      .optional(),
    insecure_skip_verify: z.boolean().optional(),
    tls_min_version: tlsVersion.optional(),
    /** `none`: not even what the environment says. */
    proxy: parsed((text) => {
      if (text !== 'none') parseProxy(text)
      return text
    }).optional(),
    lanes: z.boolean().optional(),
    plain: z.union([z.boolean(), z.literal('passthrough')]).optional(),
    log_format: z.enum(['pretty', 'json']).optional(),
    log_level: z.enum(['debug', 'info', 'warn', 'error']).optional(),
    limits: limitsSchema(agentLimits).optional(),
    tunnels: z
      .record(z.string().regex(/^[\w.-]{1,64}$/, 'expected a name of letters, digits, ".", "_" and "-"'), tunnel)
      .optional(),
  })
  .superRefine((given, context) => {
    const exclude = (keys: readonly (keyof typeof given)[]): void => {
      const [first, second] = keys.filter((key) => given[key] !== undefined && given[key] !== false)
      if (first === undefined || second === undefined) return
      context.addIssue({ code: 'custom', path: [second], message: `excludes ${first}: give one of them` })
    }
    exclude(['token', 'token_file'])
    exclude(['ca', 'pin', 'insecure_skip_verify'])
  })

/** What a valid config file says. */
export type AgentFile = z.output<typeof agentSchema>

/** One of its tunnels. */
export type AgentFileTunnel = NonNullable<AgentFile['tunnels']>[string]

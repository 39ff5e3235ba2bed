import { stringify } from 'yaml'
import { z } from 'zod'
import { parseConfig } from './load.ts'

const scalar = z.union([z.string(), z.number()]).transform(String)

/** The config file of ngrok 1.x (its docs/CLIENT.md). Keys that it didn't have are errors here as well. */
const ngrokSchema = z.strictObject({
  server_addr: z.string().optional(),
  inspect_addr: z.string().optional(),
  trust_host_root_certs: z.boolean().optional(),
  auth_token: z.string().optional(),
  http_proxy: z.string().optional(),
  tunnels: z
    .record(
      z.string(),
      z.strictObject({
        proto: z.partialRecord(z.enum(['http', 'https', 'tcp']), scalar),
        subdomain: z.string().optional(),
        hostname: z.string().optional(),
        auth: z.string().optional(),
        remote_port: z.int().optional(),
      }),
    )
    .optional(),
})

/** Reads it; its oldest form is nothing but the token. Throws ERR_CONFIG. */
export function parseNgrok(text: string, file: string): NgrokFile {
  const token = text.trim()
  return /^[\w!-]+$/.test(token) ? { auth_token: token } : parseConfig(text, file, ngrokSchema)
}

type NgrokFile = z.output<typeof ngrokSchema>
type NgrokTunnel = NonNullable<NgrokFile['tunnels']>[string]

/** A file of ours, and what the user should know of it. */
export interface Imported {
  readonly text: string
  readonly notes: readonly string[]
}

/** Says the same in our words. */
export function importNgrok(theirs: NgrokFile): Imported {
  const notes: string[] = []
  if (theirs.server_addr === undefined) {
    notes.push('the file names no server: add `relay: HOST:PORT`, or give --relay')
  }
  if (theirs.inspect_addr !== undefined) notes.push('inspect_addr has no equivalent yet')
  if (theirs.trust_host_root_certs === false) {
    notes.push("trust_host_root_certs is false: add `ca: FILE` or `pin: SHA256` of your relay's certificate")
  }
  const tunnels = Object.entries(theirs.tunnels ?? {}).flatMap(([name, tunnel]) => tunnelsOf(name, tunnel))
  const ours = {
    ...(theirs.server_addr === undefined ? {} : { relay: theirs.server_addr }),
    ...(theirs.auth_token === undefined ? {} : { token: theirs.auth_token }),
    ...(theirs.http_proxy === undefined ? {} : { proxy: theirs.http_proxy }),
    ...(tunnels.length === 0 ? {} : { tunnels: Object.fromEntries(tunnels) }),
  }
  const comments = notes.map((note) => `# ${note}\n`).join('')
  return { text: `${comments}${stringify(ours)}`, notes }
}

/** One for each address: http and https of one address are one tunnel with us. */
function tunnelsOf(name: string, { auth, proto, remote_port, ...said }: NgrokTunnel): [string, object][] {
  const { hostname, subdomain } = said.hostname === undefined && said.subdomain === undefined ? named(name) : said
  const byAddress = new Map<string, string[]>()
  for (const [protocol, address] of Object.entries(proto)) {
    const key = `${protocol === 'tcp' ? 'tcp' : 'web'} ${address}`
    byAddress.set(key, [...(byAddress.get(key) ?? []), protocol])
  }
  return [...byAddress].map(([key, protocols]) => {
    const address = key.slice(key.indexOf(' ') + 1)
    const web = !protocols.includes('tcp')
    const tunnel = {
      proto: protocols.sort().join('+'),
      addr: /^\d+$/.test(address) ? Number(address) : address,
      ...(web && subdomain !== undefined ? { subdomain } : {}),
      ...(web && hostname !== undefined ? { hostname } : {}),
      ...(web && auth !== undefined ? { auth } : {}),
      ...(!web && remote_port !== undefined ? { remote_port } : {}),
    }
    return [byAddress.size === 1 ? name : `${name}-${protocols.join('-')}`, tunnel]
  })
}

/** ngrok 1.x asks for a tunnel's own name where the file asks for none (its src/ngrok/client/config.go). */
function named(name: string): { readonly hostname?: string | undefined; readonly subdomain?: string | undefined } {
  return name.includes('.') ? { hostname: name } : { subdomain: name }
}

import { type ProxyChoice, proxyFromEnvironment } from '../net/proxy-environment.ts'
import { parseProxy } from '../net/proxy-server.ts'

/**
 * The way to the relay: `--proxy`, which counts for every relay, or what the environment says. Throws
 * ERR_OUTBOUND_PROXY_URL, which shows nothing of the value.
 */
export function outboundProxy(flags: { readonly proxy?: string }, env: NodeJS.ProcessEnv = process.env): ProxyChoice {
  if (flags.proxy === undefined) return proxyFromEnvironment(env)
  if (flags.proxy === 'none') return () => undefined
  const proxy = parseProxy(flags.proxy)
  // Other users read command lines in ps; this overwrites ours, as early as we can.
  if (proxy.credentials !== undefined) process.title = 'millrace'
  return () => proxy
}

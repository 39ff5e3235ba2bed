import type { TunnelSpec } from '../agent/options.ts'
import type { AgentFile, AgentFileTunnel } from '../config/agent-schema.ts'
import { closestName } from '../config/closest-name.ts'
import { readPair } from '../relay/certificates.ts'
import { targetTrust } from './agent-secrets.ts'
import { CommandFailure } from './exit.ts'

/**
 * The tunnels of a config file: those named, or all. Reads the certificates that they name. Rejects with
 * {@link CommandFailure} and ERR_CERTIFICATE.
 */
export async function tunnelSpecs(
  file: string,
  { tunnels = {} }: AgentFile,
  names: readonly string[] | 'all',
): Promise<readonly TunnelSpec[]> {
  const known = Object.keys(tunnels)
  if (known.length === 0) throw new CommandFailure(`${file} has no tunnels`)
  const wanted = names === 'all' ? known : [...new Set(names)]
  const specs: TunnelSpec[] = []
  for (const name of wanted) {
    const tunnel = tunnels[name]
    if (tunnel === undefined) throw unknownTunnel(file, name, known)
    specs.push(await specOf(tunnel))
  }
  return specs
}

function unknownTunnel(file: string, name: string, known: readonly string[]): CommandFailure {
  const meant = closestName(name, known)
  const hint = meant === undefined ? `it has ${known.join(', ')}` : `did you mean ${meant}?`
  return new CommandFailure(`${file} has no tunnel ${JSON.stringify(name)}: ${hint}`)
}

async function specOf(given: AgentFileTunnel): Promise<TunnelSpec> {
  const { auth, crt, hostname, key, proxy_protocol: proxyProtocol, remote_port: remotePort, subdomain } = given
  return {
    protocol: given.proto,
    target: given.addr,
    targetTrust: targetTrust({
      targetCa: given.target_ca,
      targetInsecureSkipVerify: given.target_insecure_skip_verify,
    }),
    ...(proxyProtocol === undefined ? {} : { proxyProtocol }),
    ...(subdomain === undefined ? {} : { subdomain }),
    ...(hostname === undefined ? {} : { hostname }),
    ...(remotePort === undefined ? {} : { remotePort }),
    ...(given.tls === true ? { relayTls: true } : {}),
    ...(given.allow === undefined ? {} : { allow: given.allow }),
    ...(given.deny === undefined ? {} : { deny: given.deny }),
    ...(auth === undefined ? {} : { httpAuth: auth }),
    ...(crt === undefined || key === undefined ? {} : { certificate: await readPair(crt, key) }),
  }
}

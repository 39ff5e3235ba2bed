import type { Extension, ReqTunnel } from '../wire/messages.ts'
import type { Plain } from '../wire/plain.ts'
import type { TunnelSpec } from './options.ts'

/** What a request looks like to this relay. */
export interface RequestStyle {
  /** The relay knows our extensions; false for an ngrok 1.x server. */
  readonly extended: boolean
  /** Proxy connections may be plain: of all tunnels, or of those that are passed through. */
  readonly plain: Plain
}

/** A tunnel to be asked for. */
export interface Wish {
  readonly spec: TunnelSpec
  readonly reqId: string
  /** Where the relay put it the last time, if its address was left to the relay; else '' or 0. */
  readonly host: string
  readonly port: number
}

/** The request for a tunnel. */
export function tunnelRequest({ spec, reqId, host, port }: Wish, style: RequestStyle): ReqTunnel {
  const named = (spec.hostname ?? '') !== '' || (spec.subdomain ?? '') !== ''
  // A 1.x server takes a Hostname for the whole public address, port included, and so can't be asked for one that it
  // made up itself; the first label as the Subdomain gives the same name there.
  const again = named || host === '' ? {} : style.extended ? { Hostname: host } : { Subdomain: firstLabel(host) }
  return {
    type: 'ReqTunnel',
    ReqId: reqId,
    Protocol: spec.protocol,
    Hostname: spec.hostname ?? '',
    Subdomain: spec.subdomain ?? '',
    HttpAuth: spec.httpAuth ?? '',
    RemotePort: spec.remotePort || port,
    ...again,
    ...(style.plain === true || (style.plain === 'passthrough' && isPassthrough(spec)) ? { Encrypt: false } : {}),
    ...(spec.relayTls === true ? { Terminate: true } : {}),
    ...(spec.allow === undefined ? {} : { Allow: spec.allow }),
    ...(spec.deny === undefined ? {} : { Deny: spec.deny }),
  }
}

/**
 * Whether a tunnel's visitors need no TLS between relay and agent, as they speak it with the service. With the PROXY
 * protocol a service also believes what the relay says of them, and that must not come from anybody on the way.
 */
export function isPassthrough(spec: TunnelSpec): boolean {
  return spec.protocol === 'tls' && spec.proxyProtocol === undefined
}

/**
 * Why a relay with these extensions can't give a tunnel, as a sentence; '' when it can. Asked all the same, it would give
 * another one than was meant: plain where TLS was.
 */
export function lackingFor(spec: TunnelSpec, extensions: ReadonlySet<Extension>): string {
  if (spec.protocol === 'tls' && !extensions.has('tls')) return 'it does not know tls tunnels: update the relay'
  if (spec.relayTls === true && !extensions.has('terminate')) return 'it does not know --tls: update the relay'
  if ((spec.allow !== undefined || spec.deny !== undefined) && !extensions.has('access')) {
    return 'it does not know allow and deny lists of tunnels: update the relay'
  }
  return ''
}

function firstLabel(host: string): string {
  return host.split('.', 1)[0] ?? ''
}

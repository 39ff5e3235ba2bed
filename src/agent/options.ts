import type { DataPlane, TlsTrust, TlsVersion } from '../dataplane/types.ts'
import type { AgentLimits } from '../limits/agent.ts'
import type { HostPort, Target } from '../net/address.ts'
import type { ProxyChoice } from '../net/proxy-environment.ts'
import type { ProxyProtocolVersion } from '../net/proxy-protocol-header.ts'
import type { Logger } from '../observe/log.ts'
import { authRespMs } from '../wire/limits.ts'
import type { Plain } from '../wire/plain.ts'
import type { BackoffTimes } from './backoff.ts'
import type { HeartbeatTimes } from './heartbeat.ts'
import { ping2Heartbeat, plainHeartbeat } from './heartbeat.ts'
import type { StateFile } from './state-file.ts'

/** What a tunnel carries, in the wire's words. `http+https` is two tunnels with one host name. */
export type TunnelProtocol = 'http' | 'https' | 'http+https' | 'tcp' | 'tls'

/** PEM chain and key of a tunnel whose TLS ends at the agent. */
export interface TunnelCertificate {
  readonly cert: string
  /** A secret. */
  readonly key: string
}

/** One tunnel that the agent asks for. */
export interface TunnelSpec {
  readonly protocol: TunnelProtocol
  /** The private service. */
  readonly target: Target
  /** Whom an `https://` target's certificate must come from. Unused by other targets. */
  readonly targetTrust: TlsTrust
  /** Tells the service of each visitor by a PROXY protocol header in front of its bytes. Default none. */
  readonly proxyProtocol?: ProxyProtocolVersion
  /** Host name below the relay's domain. Default any. */
  readonly subdomain?: string
  /** Whole host name. Default any. */
  readonly hostname?: string
  /** The relay's port of a TCP tunnel; 0 (default) = any. */
  readonly remotePort?: number
  /** `tcp` only: visitors speak TLS, which ends at the relay. Default false. */
  readonly relayTls?: boolean
  /** `tls` only: visitors' TLS ends here, and the service gets what they say. Absent: the service gets their TLS. */
  readonly certificate?: TunnelCertificate
  /** The networks (CIDR) that visitors may come from, as the relay sees them. Default all. */
  readonly allow?: readonly string[]
  /** Those that they may not come from, whatever `allow` says. Default none. */
  readonly deny?: readonly string[]
  /** `user:pass` asked of HTTP visitors by the relay. A secret. */
  readonly httpAuth?: string
}

/** Times and limits, each with the default that {@link defaultTimings} has. All times in ms. */
export interface AgentTimings {
  /** Limit for connecting to the relay; a TLS handshake may take the data plane's default on top. */
  readonly dialMs: number
  /** From `Auth` to `AuthResp`. */
  readonly authMs: number
  /** Limit for connecting to the local service. */
  readonly localMs: number
  /** A session that has lived for so long was stable: the next loss is retried at once. */
  readonly stableMs: number
  readonly backoff: BackoffTimes
  /** Heartbeat towards a 1.x relay. */
  readonly heartbeat: HeartbeatTimes
  /** Heartbeat where `ping2` was negotiated. */
  readonly heartbeat2: HeartbeatTimes
  /** After a resume from sleep or a change of the network: for how long a relay may say nothing before it is lost. */
  readonly probeMs: number
}

/** The defaults. */
export const defaultTimings: AgentTimings = {
  dialMs: 10_000,
  authMs: authRespMs,
  localMs: 10_000,
  stableMs: 5_000,
  backoff: { minMs: 1_000, maxMs: 30_000 },
  heartbeat: plainHeartbeat,
  heartbeat2: ping2Heartbeat,
  probeMs: 3_000,
}

/** What an agent needs. */
export interface AgentOptions {
  readonly dataPlane: DataPlane
  readonly log: Logger
  /** The relay's tunnel address. The host is also the name that its certificate must have. */
  readonly relay: HostPort
  /** Tried in this order when that one can't be reached, or lets nobody in. Default none. */
  readonly otherRelays?: readonly HostPort[]
  /** The proxy that leads to a relay. Default none. */
  readonly proxy?: ProxyChoice
  /** Whom the relay's certificate must come from. */
  readonly trust: TlsTrust
  /** The oldest TLS that the relay, and visitors whose TLS ends here, may speak. Default TLSv1.2. */
  readonly tlsMinVersion?: TlsVersion
  /** Presented to the relay; '' for an open relay. A secret. */
  readonly token: string
  /**
   * Offers proxy connections without TLS, where the relay allows them: true for all tunnels, `passthrough` for `tls`
   * ones, whose visitors speak TLS with the service.
   */
  readonly plain: Plain
  /** Offers proxy connections that carry one visitor after another. Default true, where the data plane can. */
  readonly lanes?: boolean
  readonly tunnels: readonly TunnelSpec[]
  /** What a relay can make the agent hold. What is left out is as `defaultAgentLimits` has it. */
  readonly limits?: Partial<AgentLimits>
  readonly timings?: Partial<AgentTimings>
  /** Keeps id and addresses over the agent's own restart. Default: nothing is kept. */
  readonly state?: StateFile
  /** Called after every change of the status. Must not throw. */
  readonly onStatus?: (status: AgentStatus) => void
}

/** A snapshot for status screens. */
export interface AgentStatus {
  readonly state: 'connecting' | 'online' | 'waiting' | 'stopped'
  /** Why the last session ended; '' when there was none. */
  readonly lastLoss: string
  /** With `waiting`: the wait in ms. */
  readonly retryInMs: number
  /** The relay in use, or tried last: `host:port`, with the proxy that leads there. */
  readonly relay: string
  /** Announced tunnels; the target says when a certificate is not verified. */
  readonly tunnels: readonly { readonly url: string; readonly target: string }[]
  /** Those that the relay refuses now; they are asked for again. */
  readonly failed: readonly { readonly target: string; readonly reason: string }[]
  /** Round-trip time of the last answered ping in ms; undefined before one. */
  readonly rttMs: number | undefined
  /** Live and all joins so far. */
  readonly openJoins: number
  readonly totalJoins: number
}

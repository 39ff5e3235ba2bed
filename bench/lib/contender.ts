/** What a contender is: a program, or a few, that carry TCP connections from a port of their own to the service. */
import type { ChildProcess, SpawnOptions } from 'node:child_process'

/** Where a contender that relays once shall speak TLS: files of an ECDSA P-256 certificate for `localhost`, its own issuer. */
export interface Secured {
  /** Visitors bring TLS, which ends here. */
  readonly visitor: boolean
  /** The service wants TLS. */
  readonly service: boolean
  readonly certificate: string
  readonly key: string
}

/** What a contender is started with. Everything it starts ends with the context. */
export interface Context {
  /** Where the service listens. */
  readonly backend: { readonly host: string; readonly port: number }
  /** Not there: no TLS. Tunnels don't look at it. */
  readonly secured?: Secured
  /** Where the contender shall listen. */
  readonly host: string
  /** An empty folder for its configuration. */
  readonly folder: string
  /** Starts a program on the relay's core (and in its network namespace), its output in `folder`. */
  spawn(command: string, args: readonly string[], options?: SpawnOptions): ChildProcess
  /** Starts a script of the bench on the relay's core; resolves to it and the first line that it prints. */
  script(file: string, args: readonly string[], environment?: NodeJS.ProcessEnv): Promise<Script>
  /** A port that was free a moment ago. */
  freePort(): Promise<number>
  /** Resolves once something accepts connections at `port` of `host`; rejects after 15 s. */
  awaitPort(port: number): Promise<void>
}

/** A running script of the bench, which answers a line with a line. */
export interface Script {
  readonly pid: number
  /** The first line that it printed. */
  readonly hello: string
  /** Sends a line and resolves to the next one that it prints. */
  ask(line: string): Promise<string>
}

/** A started contender. */
export interface Running {
  readonly port: number
  /** The host name that its visitors ask for; HTTP only. */
  readonly name?: string
  /** Every process that relays; their CPU time is what is measured. */
  readonly pids: readonly number[]
  /** Our own proxy, which can be asked for its counters. */
  readonly script?: Script
}

/** One of those that are compared. */
export interface Contender {
  readonly name: string
  /**
   * `hop` relays once, `tunnel` twice (relay and agent), `http-tunnel` only HTTP; `direct` not at all; `base` only where
   * a scenario asks for it.
   */
  readonly kind: 'direct' | 'hop' | 'tunnel' | 'http-tunnel' | 'base'
  /** One sentence: its configuration, and why that is fair. */
  readonly note: string
  /** Programs that must be on PATH. */
  readonly programs: readonly string[]
  start(context: Context): Promise<Running>
}

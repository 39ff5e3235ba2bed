import { availableParallelism, release } from 'node:os'
import { createDataPlane } from '../dataplane/create.ts'
import { type LoadResult, loadAddon } from '../dataplane/native/load.ts'
import type { DataPlaneStats } from '../dataplane/stats.ts'
import { readSystemLimits, type SystemLimits } from './system-limits.ts'

/** What of the data plane the findings are about. */
export type PlaneFacts = Pick<DataPlaneStats, 'kind' | 'mode' | 'threads' | 'spliceFallbacks' | 'tls'>

/** One thing that was looked at. */
export interface Finding {
  /** Stable, for scripts. */
  readonly check: 'data-plane' | 'splice' | 'workers' | 'pipes' | 'descriptors' | 'backlog' | 'tls'
  /** `cost`: it works, and costs what `says` says. */
  readonly state: 'ok' | 'cost'
  /** What there is, and what it means. */
  readonly says: string
}

/** What the doctor found. */
export interface Report {
  readonly kind: DataPlaneStats['kind']
  /** One line: the data plane and why it is this one. */
  readonly text: string
  /** Whether a direction that streams over plain sockets is spliced. */
  readonly splices: boolean
  readonly node: string
  readonly system: string
  readonly cpus: number
  readonly dataPlane: DataPlaneStats
  readonly findings: readonly Finding[]
}

/** With MILLRACE_DATAPLANE=stream nothing is loaded, here neither. */
const notAsked: LoadResult = { state: 'absent', tried: [] }

/** Looks at this machine. Opens no connection and changes nothing. */
export function examine(): Report {
  const stats = createDataPlane().stats()
  const addon = stats.mode === 'stream' ? notAsked : loadAddon()
  return {
    kind: stats.kind,
    text: dataPlane(stats, addon).says,
    splices: stats.kind === 'native' && stats.mode !== 'copy' && refusals(stats).length === 0,
    node: process.version,
    system: `${process.platform}-${process.arch} ${release()}`,
    cpus: availableParallelism(),
    dataPlane: stats,
    findings: findingsOf(stats, addon, readSystemLimits()),
  }
}

/** The findings for a data plane on a system. */
export function findingsOf(stats: PlaneFacts, addon: LoadResult, limits: SystemLimits): readonly Finding[] {
  const native = stats.kind === 'native'
  return [
    dataPlane(stats, addon),
    ...(native ? [splice(stats), workers(stats)] : []),
    ...(native && stats.mode !== 'copy' && limits.pipePagesSoft !== undefined ? [pipes(limits.pipePagesSoft)] : []),
    ...(limits.openFiles === undefined ? [] : [descriptors(limits.openFiles)]),
    ...(limits.backlog === undefined ? [] : [backlog(limits.backlog)]),
    tls(stats, limits.openssl),
  ]
}

/** The report as text. */
export function renderReport(report: Report): string {
  const lines = [
    `millrace doctor: Node ${report.node}, ${report.system}, ${report.cpus} CPUs`,
    '',
    ...report.findings.map(({ check, state, says }) => `${state.padEnd(5)} ${check.padEnd(12)} ${says}`),
    '',
  ]
  return lines.join('\n')
}

const modes = {
  native: 'adaptive: copies first, and splices what streams',
  copy: 'copy only: MILLRACE_DATAPLANE=copy asks for it',
  splice: 'splice always: MILLRACE_DATAPLANE=splice asks for it',
  stream: '',
} as const

// Measured on Linux 6.18, two cores, loopback, one bulk flow, CPU of one relaying process.
const streamCost = 'bulk takes 0.7 to 1.2 CPU seconds per GB instead of about 0.4, and a visitor three times the CPU'

function dataPlane(stats: PlaneFacts, addon: LoadResult): Finding {
  const check = 'data-plane'
  if (stats.kind === 'native') return { check, state: 'ok', says: `native, ${modes[stats.mode]}` }
  const why = stats.mode === 'stream' ? 'MILLRACE_DATAPLANE=stream asks for it' : whyNotNative(addon)
  return { check, state: 'cost', says: `stream: ${why}; ${streamCost}` }
}

function whyNotNative(addon: LoadResult): string {
  switch (addon.state) {
    case 'loaded':
      return `${addon.path} loads, but the system refused to start its workers`
    case 'absent':
      return `there is no addon for ${process.platform}-${process.arch}, and npm run build makes one where a C++ compiler is`
    case 'broken':
      return `the addon does not load (${addon.tried.map(({ path, reason }) => `${path}: ${reason}`).join('; ')})`
  }
}

function splice(stats: PlaneFacts): Finding {
  const check = 'splice'
  const reasons = refusals(stats)
  if (stats.mode === 'copy')
    return { check, state: 'cost', says: `off: MILLRACE_DATAPLANE=copy asks for it; ${dearer}` }
  if (reasons.length === 0) return { check, state: 'ok', says: 'works; directions that stream move without copies' }
  return {
    check,
    state: 'cost',
    says: `not always: ${reasons.join(', ')}; copies instead: ${dearer}`,
  }
}

function refusals(stats: PlaneFacts): readonly string[] {
  return Object.entries(stats.spliceFallbacks).flatMap(([reason, count]) => (count > 0 ? [reason] : []))
}

const dearer = 'bulk over a real network takes a quarter more CPU'

function workers({ threads }: PlaneFacts): Finding {
  return { check: 'workers', state: 'ok', says: `${threads} (MILLRACE_WORKERS sets 1 to 64)` }
}

function tls(stats: PlaneFacts, openssl: string): Finding {
  const check = 'tls'
  if (stats.tls.by === 'native') return { check, state: 'ok', says: `OpenSSL ${openssl}, in the engine's workers` }
  const why = stats.tls.reason === '' ? '' : `: ${stats.tls.reason}`
  return { check, state: 'cost', says: `OpenSSL ${openssl}, on Node streams${why}; about 1.2 CPU seconds per GB` }
}

/** A pipe of the default size takes 16 pages; a direction that streams holds one. */
const pagesPerPipe = 16

function pipes(pages: number): Finding {
  const check = 'pipes'
  if (pages === 0 || process.getuid?.() === 0) return { check, state: 'ok', says: 'no limit for this user' }
  const count = Math.floor(pages / pagesPerPipe)
  const says = `${count} streaming directions at once (fs.pipe-user-pages-soft = ${pages}); more of them copy, ${dearer}`
  return { check, state: count >= 1_024 ? 'ok' : 'cost', says }
}

function descriptors(openFiles: number): Finding {
  const joins = openFiles === Number.POSITIVE_INFINITY ? 'without limit' : `about ${Math.floor(openFiles / 2)}`
  const shown = openFiles === Number.POSITIVE_INFINITY ? 'unlimited' : String(openFiles)
  return {
    check: 'descriptors',
    state: openFiles >= 16_384 ? 'ok' : 'cost',
    says: `RLIMIT_NOFILE = ${shown}: joins at once ${joins}, as each takes two (ulimit -n, LimitNOFILE=)`,
  }
}

/** What listeners ask for. */
const wantedBacklog = 4_096

function backlog(somaxconn: number): Finding {
  const enough = somaxconn >= wantedBacklog
  return {
    check: 'backlog',
    state: enough ? 'ok' : 'cost',
    says: enough
      ? `net.core.somaxconn = ${somaxconn}`
      : `net.core.somaxconn = ${somaxconn}, below ${wantedBacklog}: visitors of a larger burst wait 1 s for a SYN retry`,
  }
}

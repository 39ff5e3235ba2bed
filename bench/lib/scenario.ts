/** What a scenario gets, and the round-robin that all of them share. */
import { makeCertificate } from '../contenders/tunnel-parts.ts'
import type { Contender, Running, Secured } from './contender.ts'
import { type LoadOptions, type LoadResult, numberIn, runLoad, startLoad } from './load.ts'
import { Place, type PlaceOptions } from './place.ts'
import { type Figures, type Row, rowsOf } from './summary.ts'

/** How thoroughly to measure. */
export interface Effort {
  readonly rounds: number
  /** Multiplies bytes and seconds of a measurement. */
  readonly scale: number
}

/** What a scenario runs with. */
export interface Bench {
  readonly effort: Effort
  /** Those asked for whose programs are here. */
  readonly contenders: readonly Contender[]
  /** Whether a case was asked for. */
  wants(name: string): boolean
  say(text: string): void
  /** A contender has no figures in a case, and why. */
  fail(failure: Failure): void
}

/** A case that a contender did not get through. */
export interface Failure {
  readonly scenario: string
  readonly case: string
  readonly contender: string
  readonly message: string
}

/** A scenario: what is measured, of whom by default. */
export interface Scenario {
  readonly name: string
  /** One sentence for the report. */
  readonly about: string
  /** Contenders that it makes sense for. */
  readonly contenders: readonly string[]
  run(bench: Bench): Promise<Row[]>
}

/** A contender that runs, and the visitors it can be sent. */
export interface Subject {
  readonly contender: Contender
  readonly running: Running
  readonly place: Place
  readonly secured?: Secured
  load(options: Omit<LoadOptions, 'port' | 'pids'>, urgent?: boolean): Promise<LoadResult>
}

/** One thing to measure of every contender. */
export interface Case {
  readonly name: string
  measure(subject: Subject): Promise<Figures>
}

/** What the load programs can be of use as: the service of all other scenarios, or one that speaks HTTP. */
export type Service = 'serve' | 'http'

/** Starts the service, on the load's core, with TLS where `files` are given; resolves to its port. */
export async function startService(
  place: Place,
  urgent = false,
  verb: Service = 'serve',
  files?: Pick<Secured, 'certificate' | 'key'>,
): Promise<number> {
  const tls = files === undefined ? [] : ['--tls', '--certificate', files.certificate, '--key', files.key]
  const server = startLoad(place, [verb, '--host', place.loadHost, ...tls], urgent)
  return numberIn((await server.lines.next()) ?? '{}', 'port')
}

/** Starts one contender in `place`. */
export async function startContender(
  place: Place,
  contender: Contender,
  backendPort: number,
  secured?: Secured,
): Promise<Subject> {
  const running = await contender.start(place.context(backendPort, secured))
  const direct = contender.kind === 'direct'
  // Without a relay between them both ends speak TLS where one does.
  const tls = secured !== undefined && (secured.visitor || direct)
  return {
    contender,
    running,
    place,
    ...(secured === undefined ? {} : { secured }),
    load: (options, urgent) => {
      const host = direct ? place.loadHost : place.relayHost
      return runLoad(place, host, { ...options, port: running.port, pids: running.pids, tls }, urgent)
    },
  }
}

/** Runs `measure` with a contender and a service of its own in a place of its own. */
export async function inFreshPlace(
  contender: Contender,
  measure: (subject: Subject) => Promise<Figures>,
  options: PlaceOptions = {},
): Promise<Figures> {
  const place = new Place(options)
  try {
    return await measure(await startContender(place, contender, await startService(place)))
  } finally {
    place.end()
  }
}

/** The figures, all of which are numbers: nothing divided by nothing is a measurement that was too short. */
function finite(figures: Figures): Figures {
  const broken = Object.entries(figures).find(([, value]) => !Number.isFinite(value))
  if (broken !== undefined) throw new Error(`nothing to make ${broken[0]} of: too short a measurement`)
  return figures
}

/** Measures one case, the contenders one after another in each round. One that fails has no rows. */
export async function takeTurns(
  bench: Bench,
  of: { readonly scenario: string; readonly case: string; readonly rounds?: number },
  contenders: readonly string[],
  measure: (contender: string) => Promise<Figures>,
): Promise<Row[]> {
  if (!bench.wants(of.case)) return []
  const figures = new Map<string, Figures[]>(contenders.map((name) => [name, []]))
  for (let round = 0; round < (of.rounds ?? bench.effort.rounds); round += 1) {
    for (const [name, rounds] of figures) {
      try {
        rounds.push(finite(await measure(name)))
      } catch (error) {
        const message = error instanceof Error ? error.message : String(error)
        bench.fail({ scenario: of.scenario, case: of.case, contender: name, message })
        figures.delete(name)
      }
    }
  }
  const rows = [...figures].flatMap(([name, rounds]) => rowsOf(of.scenario, of.case, name, rounds))
  for (const row of rows) bench.say(lineOf(row))
  return rows
}

/** Measures every case of every contender; the contenders and the service keep running from case to case. */
export async function measureInRounds(
  bench: Bench,
  scenario: string,
  cases: readonly Case[],
  options: {
    readonly place?: PlaceOptions
    readonly urgentService?: boolean
    readonly service?: Service
    /** Where there is TLS. */
    readonly tls?: Pick<Secured, 'visitor' | 'service'>
  } = {},
): Promise<Row[]> {
  const place = new Place(options.place)
  try {
    const { tls, urgentService } = options
    const secured = tls && { ...tls, ...makeCertificate(place.context(0)) }
    const port = await startService(
      place,
      urgentService,
      options.service,
      secured?.service === true ? secured : undefined,
    )
    const directPort = secured === undefined ? port : await startService(place, urgentService, 'serve', secured)
    const subjects = new Map<string, Subject | Error>()
    for (const contender of bench.contenders) {
      const behind = contender.kind === 'direct' ? directPort : port
      const start = startContender(place, contender, behind, secured)
      const started = await start.catch((error: unknown) => new Error(String(error)))
      subjects.set(contender.name, started)
    }
    const rows: Row[] = []
    for (const each of cases) {
      const measured = takeTurns(bench, { scenario, case: each.name }, [...subjects.keys()], (name) => {
        const subject = subjects.get(name)
        return subject === undefined || subject instanceof Error ? Promise.reject(subject) : each.measure(subject)
      })
      rows.push(...(await measured))
    }
    return rows
  } finally {
    place.end()
  }
}

/** A row as a line for people. */
export function lineOf(row: Row): string {
  const figure = (value: number): string => (Math.abs(value) >= 1000 ? value.toFixed(0) : value.toPrecision(3))
  const range = `${figure(row.median)} (${figure(row.min)}–${figure(row.max)}) ${row.unit}`
  return `${row.scenario.padEnd(8)} ${row.case.padEnd(22)} ${row.contender.padEnd(15)} ${row.metric.padEnd(22)} ${range}`
}

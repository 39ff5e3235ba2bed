/** What a scenario gets, and the round-robin that all of them share. */
import type { Contender, Running } from './contender.ts'
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
  say(text: string): void
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
  load(options: Omit<LoadOptions, 'port' | 'pids'>, urgent?: boolean): Promise<LoadResult>
}

/** One thing to measure of every contender. */
export interface Case {
  readonly name: string
  measure(subject: Subject): Promise<Figures>
}

/** Starts the service, on the load's core; resolves to its port. */
export async function startService(place: Place, urgent = false): Promise<number> {
  const server = startLoad(place, ['serve', '--host', place.loadHost], urgent)
  return numberIn((await server.lines.next()) ?? '{}', 'port')
}

/** Starts one contender in `place`. */
export async function startContender(place: Place, contender: Contender, backendPort: number): Promise<Subject> {
  const running = await contender.start(place.context(backendPort))
  return {
    contender,
    running,
    place,
    load: (options, urgent) => {
      const host = contender.kind === 'direct' ? place.loadHost : place.relayHost
      return runLoad(place, host, { ...options, port: running.port, pids: running.pids }, urgent)
    },
  }
}

/** Measures every case of every contender, the contenders one after another in each round. */
export async function measureInRounds(
  bench: Bench,
  scenario: string,
  cases: readonly Case[],
  placeOptions: PlaceOptions = {},
): Promise<Row[]> {
  const place = new Place(placeOptions)
  try {
    const port = await startService(place)
    const subjects: Subject[] = []
    for (const contender of bench.contenders) subjects.push(await startContender(place, contender, port))
    const rows: Row[] = []
    for (const each of cases) {
      const figures = new Map<string, Figures[]>(subjects.map(({ contender }) => [contender.name, []]))
      for (let round = 0; round < bench.effort.rounds; round += 1) {
        for (const subject of subjects) figures.get(subject.contender.name)?.push(await each.measure(subject))
      }
      const measured = [...figures].flatMap(([contender, rounds]) => rowsOf(scenario, each.name, contender, rounds))
      for (const row of measured) bench.say(lineOf(row))
      rows.push(...measured)
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

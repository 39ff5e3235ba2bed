/**
 * The JavaScript of the hot paths, kernel by kernel, in this process alone.
 *
 *     npm run bench:micro -- [WORD…] [--check]
 *
 * mitata measures. With `--check` benchmark.js does so as well: two means that
 * differ by more than a factor of two are not of the same thing, most often because the compiler found that a result isn't used.
 */
import { parseArgs } from 'node:util'
import { importTool } from './lib/tools.ts'
import { figure } from './lib/verdicts.ts'
import { type Kernel, kernels } from './micro/kernels.ts'

/** What is used of mitata. */
interface Mitata {
  measure(
    run: () => unknown,
    options?: object,
  ): Promise<{ readonly avg: number; readonly p50: number; readonly p99: number }>
  do_not_optimize(value: unknown): void
}

/** What is used of benchmark. */
interface Suite {
  new (name: string, run: () => void): { run(): { readonly stats: { readonly mean: number; readonly rme: number } } }
}

/** A member of a module, which CommonJS hides behind `default`. */
function member(module: unknown, name: string): unknown {
  if (typeof module !== 'object' || module === null) return undefined
  const found: unknown = Reflect.get(module, name)
  return found ?? Reflect.get(module, 'default')
}

const { values, positionals } = parseArgs({ allowPositionals: true, options: { check: { type: 'boolean' } } })
const chosen = kernels.filter(({ name }) => positionals.every((word) => name.includes(word)))
const mitata = (await importTool('mitata')) as Mitata
const Benchmark = values.check === true ? (member(await importTool('benchmark'), 'Benchmark') as Suite) : undefined

async function line(kernel: Kernel): Promise<string> {
  const { name, times } = kernel
  const kept = (): void => mitata.do_not_optimize(kernel.run())
  const { avg, p50, p99 } = await mitata.measure(kept)
  const words = `${name.padEnd(38)} ${figure(p50 / times).padStart(8)} ns, p99 ${figure(p99 / times).padStart(8)} ns`
  if (Benchmark === undefined) return words
  const { stats } = new Benchmark(name, kept).run()
  const other = (stats.mean * 1e9) / times
  const agree = Math.max(other, avg / times) / Math.min(other, avg / times) <= 2
  return `${words}; mean ${figure(avg / times)} ns, of benchmark ${figure(other)} ns ± ${figure(stats.rme)} %${agree ? '' : '  THEY DISAGREE'}`
}

process.stdout.write(`${chosen.length} kernels, Node ${process.version}; time of one, median and p99\n`)
for (const kernel of chosen) process.stdout.write(`${await line(kernel)}\n`)

/**
 * `npm run fuzz -- [target…] [--seconds N] [--seed N] [--keep]`: the engine's fuzz targets under libFuzzer with AddressSanitizer
 * and UBSan, one after the other, ten minutes each unless told otherwise. They start from native/test/corpus and from
 * what earlier runs found, in .cache/fuzz-corpus. `--keep` puts what is worth it into native/test/corpus afterwards.
 * With a seed a run tries the same inputs in the same order whenever and wherever it is made: it starts from
 * native/test/corpus alone and learns from coverage only, because addresses, which differ from run to run, are among what
 * the program compares.
 */
import { copyFileSync, mkdirSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { Failure, findProgram, main, root, run, say } from './lib/project.mjs'

/** The longest input of each target, bytes: longer ones only repeat themselves. */
const lengths = /** @type {Readonly<Record<string, number>>} */ ({
  join: 300,
  lane: 240,
  secure: 300,
  address: 120,
  hello: 2200,
  tls: 240,
})

const build = join(root, '.cache/fuzz')

main(async () => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      seconds: { type: 'string', default: '600' },
      seed: { type: 'string', default: '0' },
      keep: { type: 'boolean', default: false },
    },
  })
  const targets = positionals.length > 0 ? positionals : Object.keys(lengths)
  const seconds = Number(values.seconds)
  const seed = Number(values.seed)
  const strange = targets.filter((target) => !(target in lengths))
  if (strange.length > 0)
    throw new Failure(`fuzz: no such target: ${strange.join(', ')}; there are ${Object.keys(lengths).join(', ')}`)
  if (!Number.isInteger(seconds) || seconds < 1) throw new Failure('fuzz: --seconds takes a whole number from 1 on')
  if (!Number.isInteger(seed) || seed < 0)
    throw new Failure('fuzz: --seed takes a whole number; 0 is a new one each time')
  await compile(targets)
  let failed = 0
  for (const target of targets) {
    failed += (await fuzz(target, seconds, seed)) ? 0 : 1
    if (values.keep && failed === 0) await keep(target)
  }
  return failed === 0 ? 0 : 1
})

/** @param {readonly string[]} targets */
async function compile(targets) {
  const clang = findProgram(['clang++'])
  if (process.platform !== 'linux' || clang === undefined)
    throw new Failure('fuzz: needs Linux and clang++ with libFuzzer')
  const generator = findProgram(['ninja']) === undefined ? [] : ['-G', 'Ninja']
  const configure = ['-S', '.', '-B', build, ...generator, `-DCMAKE_CXX_COMPILER=${clang}`, '-DMILLRACE_FUZZ=ON']
  const names = targets.map((target) => `fuzz_${target}`)
  for (const args of [configure, ['--build', build, '--target', ...names]]) {
    const { code, output } = await run('cmake', args, { capture: true })
    if (code !== 0) throw new Failure(`fuzz: cmake failed\n${output}`)
  }
}

/** @param {string} target */
const found = (target) => join(root, '.cache/fuzz-corpus', target)

/** @param {string} target */
const kept = (target) => join(root, 'native/test/corpus', target)

/**
 * False when an input breaks something; says which, and how to see it again.
 * @param {string} target
 * @param {number} seconds
 * @param {number} seed
 */
async function fuzz(target, seconds, seed) {
  const program = join(build, `fuzz_${target}`)
  const artifact = join(build, `${target}-broken`)
  mkdirSync(found(target), { recursive: true })
  rmSync(artifact, { force: true })
  const options = [
    `-max_total_time=${seconds}`,
    `-seed=${seed}`,
    `-max_len=${lengths[target]}`,
    '-timeout=30',
    '-rss_limit_mb=2048',
    '-print_final_stats=1',
    `-exact_artifact_path=${artifact}`,
  ]
  const { code, output } =
    seed > 0
      ? await repeatable(target, [program, ...options])
      : await run(program, [...options, found(target), kept(target)], { capture: true })
  const runs = /number_of_executed_units: (\d+)/.exec(output)?.[1] ?? '?'
  const edges = [...output.matchAll(/ cov: (\d+)/g)].at(-1)?.[1] ?? '?'
  say(`fuzz: ${target}: ${runs} runs, ${edges} edges, ${seconds} s`)
  if (code === 0) return true
  process.stderr.write(`${output.slice(-6000)}\nfuzz: ${target}: again: MILLRACE_FUZZ_TRACE=1 ${program} ${artifact}\n`)
  return false
}

/**
 * @param {string} target
 * @param {string[]} command
 */
function repeatable(target, command) {
  const scratch = join(build, `${target}-seeded`)
  rmSync(scratch, { recursive: true, force: true })
  mkdirSync(scratch)
  return run('setarch', ['-R', ...command, '-use_cmp=0', scratch, kept(target)], { capture: true })
}

/**
 * Edges alone decide, so that the kept corpus stays small.
 * @param {string} target
 */
async function keep(target) {
  const chosen = join(build, `${target}-kept`)
  rmSync(chosen, { recursive: true, force: true })
  mkdirSync(chosen, { recursive: true })
  const merge = ['-merge=1', '-use_counters=0', `-max_len=${lengths[target]}`, chosen, kept(target), found(target)]
  const { code, output } = await run(join(build, `fuzz_${target}`), merge, { capture: true })
  if (code !== 0) throw new Failure(`fuzz: merging failed\n${output.slice(-2000)}`)
  const files = readdirSync(chosen)
  for (const file of files) copyFileSync(join(chosen, file), join(kept(target), file))
  say(`fuzz: ${target}: ${files.length} inputs kept`)
}

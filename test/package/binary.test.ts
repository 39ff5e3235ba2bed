import { strict as assert } from 'node:assert'
import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

// What the addon's binary asks of the process that loads it, whichever Node that is.

const binary = fileURLToPath(new URL('../../build/Release/millrace.node', import.meta.url))

/** What a program of binutils says of the binary; the reason why it can't be asked otherwise. */
function ask(program: string, ...args: readonly string[]): string | { readonly reason: string } {
  if (!existsSync(binary)) return { reason: 'no addon is built here (build/Release/millrace.node)' }
  try {
    return execFileSync(program, [...args, binary], { encoding: 'utf8' })
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT')
      return { reason: `${program} (binutils) is not here` }
    throw error
  }
}

/** The functions of Node-API version 8, as its own headers declare them. */
function nodeApi(version: number): ReadonlySet<string> {
  const folder = join(dirname(createRequire(import.meta.url).resolve('node-api-headers/package.json')), 'include')
  const names = new Set<string>()
  for (const file of readdirSync(folder)) {
    let newer = 0
    const open: number[] = []
    for (const line of readFileSync(join(folder, file), 'utf8').split('\n')) {
      const condition = /^#\s*if(?:def|ndef)?\b(.*)/.exec(line)
      if (condition !== null) {
        const wanted = /NAPI_VERSION >= (\d+)/.exec(condition[1] ?? '')
        const tooNew = (wanted !== null && Number(wanted[1]) > version) || /NAPI_EXPERIMENTAL/.test(condition[1] ?? '')
        open.push(tooNew ? 1 : 0)
        newer += open.at(-1) ?? 0
      } else if (/^#\s*endif/.test(line)) newer -= open.pop() ?? 0
      else if (newer === 0) for (const [name] of line.matchAll(/\bnapi_\w+/g)) names.add(name)
    }
  }
  return names
}

test('the binary imports nothing of Node that is newer than Node-API 8', (t) => {
  const symbols = ask('nm', '-D', '--undefined-only')
  if (typeof symbols !== 'string') return t.skip(symbols.reason)
  const known = nodeApi(8)
  assert.ok(known.has('napi_set_instance_data') && !known.has('node_api_create_syntax_error'), 'the headers are read')
  const imported = symbols.split('\n').flatMap((line) => /\bU (\S+)/.exec(line)?.[1] ?? [])
  const ofNode = imported.filter((name) => /^(napi|node|uv)_/.test(name))
  assert.ok(ofNode.length > 20)
  assert.deepEqual(
    ofNode.filter((name) => !known.has(name)),
    [],
  )
  // No C++ of V8's or Node's either: that would bind it to one version.
  assert.deepEqual(
    imported.filter((name) => /^_ZNK?(2v8|4node)/.test(name)),
    [],
  )
})

test('pitfall 20: the binary is never unloaded, and its symbols are bound when it loads', (t) => {
  const dynamic = ask('readelf', '-d')
  if (typeof dynamic !== 'string') return t.skip(dynamic.reason)
  assert.match(dynamic, /FLAGS_1.*\bNODELETE\b/)
  assert.match(dynamic, /FLAGS_1.*\bNOW\b/)
})

test('the binary exports nothing but its entry points', (t) => {
  const symbols = ask('objdump', '-T')
  if (typeof symbols !== 'string') return t.skip(symbols.reason)
  const exported = symbols.split('\n').filter((line) => /\sg\s.*\.text\s/.test(line))
  // Whatever else it exported could clash with another addon's.
  const names = new Set(exported.map((line) => line.trim().split(/\s+/).at(-1)))
  assert.deepEqual(names, new Set(['napi_register_module_v1', 'node_api_module_get_api_version_v1']))
})

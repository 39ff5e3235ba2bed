import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../..', import.meta.url))
const read = (path: string): string => readFileSync(join(root, path), 'utf8')

interface Manifest {
  readonly version: string
  readonly dependencies: Readonly<Record<string, string>>
  readonly devDependencies: Readonly<Record<string, string>>
  readonly files: readonly string[]
}

const manifest = JSON.parse(read('package.json')) as Manifest
const documents = [
  ...readdirSync(root).filter((name) => name.endsWith('.md')),
  ...readdirSync(join(root, 'docs')).map((name) => `docs/${name}`),
].filter((name) => name.endsWith('.md'))

describe('the documents', () => {
  it('give each dependency its reason, and none that is not there', () => {
    const rows = [...read('docs/dependencies.md').matchAll(/^\| (`[^|]+) \|/gm)].map(([, names = '']) => names)
    const npm = read('docs/dependencies.md').split('## Outside npm')[0] ?? ''
    const documented = rows
      .filter((row) => npm.includes(row))
      .flatMap((row) => [...row.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name))
    const wanted = [...Object.keys(manifest.dependencies), ...Object.keys(manifest.devDependencies)]
    assert.deepEqual(new Set(documented), new Set(wanted))
  })

  it('link to files that are there', () => {
    const broken = documents.flatMap((document) =>
      [...read(document).matchAll(/\]\((?!https?:|#)([^)#]+)(?:#[^)]*)?\)/g)]
        .map(([, target = '']) => target)
        .filter((target) => !existsSync(join(root, dirname(document), target)))
        .map((target) => `${document}: ${target}`),
    )
    assert.deepEqual(broken, [])
  })

  it('have this version in the changelog', () => {
    assert.match(read('CHANGELOG.md'), new RegExp(`^## ${manifest.version.replaceAll('.', '\\.')}\\b`, 'm'))
  })
})

describe('the lock file', () => {
  it('records no download addresses', () => {
    assert.doesNotMatch(read('package-lock.json'), /"resolved": *"https?:/)
  })

  it('has an entry for every optional package, so that npm ci takes it on every platform', () => {
    const lock = JSON.parse(read('package-lock.json')) as {
      readonly packages: Readonly<Record<string, { readonly optionalDependencies?: Readonly<Record<string, string>> }>>
    }
    const missing = Object.entries(lock.packages).flatMap(([path, { optionalDependencies = {} }]) =>
      Object.keys(optionalDependencies).filter(
        (name) => !(`${path}/node_modules/${name}` in lock.packages) && !(`node_modules/${name}` in lock.packages),
      ),
    )
    assert.deepEqual(missing, [])
  })
})

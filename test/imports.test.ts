import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'

/** What each part of src may import of the others. docs/architecture.md shows the same as a picture. */
const allowed: Readonly<Record<string, readonly string[]>> = {
  'errors.ts': [],
  'printable.ts': [],
  'pid-lock.ts': [],
  'folder-watch.ts': [],
  // Of wire the frames of lanes only, as a test below says: the data plane is what speaks them.
  dataplane: ['errors.ts', 'printable.ts', 'wire'],
  wire: ['errors.ts', 'printable.ts', 'dataplane'],
  net: ['errors.ts', 'printable.ts', 'dataplane'],
  limits: ['errors.ts', 'wire', 'net', 'observe'],
  http: ['errors.ts', 'printable.ts', 'dataplane', 'net', 'limits'],
  observe: ['errors.ts', 'printable.ts', 'dataplane'],
  control: ['errors.ts', 'observe'],
  config: ['errors.ts', 'printable.ts', 'dataplane', 'wire', 'net', 'observe', 'limits'],
  relay: [
    'errors.ts',
    'folder-watch.ts',
    'printable.ts',
    'dataplane',
    'wire',
    'net',
    'http',
    'observe',
    'limits',
    'config',
  ],
  agent: [
    'errors.ts',
    'pid-lock.ts',
    'printable.ts',
    'dataplane',
    'wire',
    'net',
    'http',
    'observe',
    'limits',
    'config',
  ],
  cli: [
    'errors.ts',
    'folder-watch.ts',
    'pid-lock.ts',
    'printable.ts',
    'dataplane',
    'wire',
    'net',
    'http',
    'observe',
    'limits',
    'config',
    'control',
    'relay',
    'agent',
  ],
  'index.ts': ['errors.ts', 'dataplane'],
}

/** Names that are no data socket: parsing addresses is everybody's. */
const addressHelpers = ['isIP', 'isIPv4', 'isIPv6', 'BlockList', 'SocketAddress']

const root = fileURLToPath(new URL('..', import.meta.url))

function filesUnder(folder: string, ending: RegExp): readonly string[] {
  if (!existsSync(join(root, folder))) return []
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((path) => ending.test(path))
    .map((path) => join(folder, path))
}

interface Import {
  readonly file: string
  /** As written. */
  readonly specifier: string
  /** The names in braces, as written; '' for a dynamic import. */
  readonly names: string
}

const statement = /(?:\b(?:import|export)\s+(?:type\s+)?([^'"]*?)\s*from\s*|\bimport\s*\(\s*|\bimport\s+)'([^']+)'/g

function importsOf(file: string): readonly Import[] {
  const text = readFileSync(join(root, file), 'utf8')
  return [...text.matchAll(statement)].map(([, names = '', specifier = '']) => ({ file, specifier, names }))
}

/** The first part of a path under src: a folder or a file there. */
function partOf(path: string): string {
  return path.split('/')[1] ?? ''
}

const sources = filesUnder('src', /\.ts$/)
const imports = sources.flatMap(importsOf)

describe('imports run one way', () => {
  it('every part of src has its rule', () => {
    assert(imports.length > 50, 'the search for imports finds them')
    const parts = new Set(sources.map(partOf))
    assert.deepEqual(
      [...parts].filter((part) => allowed[part] === undefined),
      [],
    )
  })

  it('cli → relay | agent → dataplane, wire, http, net → errors; relay and agent know nothing of each other', () => {
    const wrong = imports
      .filter(({ specifier }) => specifier.startsWith('.'))
      .map(({ file, specifier }) => ({ file, from: partOf(file), to: partOf(join(dirname(file), specifier)) }))
      .filter(({ from, to }) => from !== to && allowed[from]?.includes(to) !== true)
      .map(({ file, to }) => `${file} imports ${to}`)
    assert.deepEqual(wrong, [])
  })

  it('only the data plane touches sockets and TLS', () => {
    const modules = ['node:net', 'node:tls', 'node:http', 'node:https', 'node:http2', 'node:dgram', 'net', 'tls']
    const wrong = imports
      .filter(({ file, specifier }) => partOf(file) !== 'dataplane' && modules.includes(specifier))
      .filter(({ names }) => !namesIn(names).every((name) => addressHelpers.includes(name)))
      // The public join() takes sockets, so the entry may name their type.
      .filter(({ file }) => file !== join('src', 'index.ts'))
      // The control socket carries no visitor's bytes.
      .filter(({ file }) => partOf(file) !== 'control')
      .map(({ file, specifier, names }) => `${file} imports ${names} from ${specifier}`)
    assert.deepEqual(wrong, [])
  })

  it('control-plane code sees the data plane by its interface only', () => {
    const wrong = imports
      .filter(({ file }) => ['relay', 'agent', 'wire', 'http', 'net', 'config', 'observe'].includes(partOf(file)))
      .filter(({ specifier }) => specifier.includes('/dataplane/') && !specifier.endsWith('/dataplane/types.ts'))
      .map(({ file, specifier }) => `${file} imports ${specifier}`)
    assert.deepEqual(wrong, [])
  })

  it('the data plane knows of the protocol the frames of lanes, which stand on nothing of its own', () => {
    const wrong = imports
      .filter(({ file, specifier }) => partOf(file) === 'dataplane' && specifier.includes('/wire/'))
      .filter(({ specifier }) => !/\/wire\/(?:lane|lane-frame|lane-verdict|limits)\.ts$/.test(specifier))
      .map(({ file, specifier }) => `${file} imports ${specifier}`)
    const back = imports
      .filter(({ file }) => /wire\/(?:lane[\w-]*|limits)\.ts$/.test(file))
      .filter(({ specifier }) => specifier.includes('/dataplane/'))
      .map(({ file, specifier }) => `${file} imports ${specifier}`)
    assert.deepEqual([...wrong, ...back], [])
  })

  it('the engine includes no header of Node, and nothing of the addon', () => {
    const engine = [...filesUnder('native/engine', /\.(cc|cpp|h|hpp)$/)]
    const wrong = engine.flatMap((file) =>
      [...readFileSync(join(root, file), 'utf8').matchAll(/^\s*#\s*include\s*[<"]([^>"]+)[>"]/gm)]
        .map(([, header = '']) => header)
        .filter((header) => /(^|\/)(node|napi|node_api|js_native_api|uv|v8)[\w-]*\.h$|addon\//.test(header))
        .map((header) => `${file} includes ${header}`),
    )
    assert.deepEqual(wrong, [])
  })
})

/** The names in the braces of an import; a whole-module import is its star or its name, which no list allows. */
function namesIn(braces: string): readonly string[] {
  const list = braces.replace(/^\{|\}$/g, '').split(',')
  return list.map((name) => name.trim().replace(/^type\s+/, '')).filter((name) => name !== '')
}

import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  accessSync,
  constants,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { gunzipSync } from 'node:zlib'

const root = fileURLToPath(new URL('../..', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'millrace-package-'))
const installed = join(folder, 'node_modules/millrace')

/** What a user writes, right and wrong: each line below an @ts-expect-error must be refused. */
const consumer = `
import { connect, type Socket } from 'node:net'
import { createDataPlane, type DataPlane, errorCodes, type Join, type JoinResult, join, MillraceError } from 'millrace'

const socket: Socket = connect(1)
const live: Join = join(socket, connect(2), { headA: Buffer.from('x'), idleMs: 1000, onEnd: (end) => end.reason })
const count: bigint = live.bytes.aToB
const path: 'splice' | 'copy' | 'tls' | 'stream' = live.path.bToA
const end: JoinResult = await live.done
const reason: 'eof' | 'reset' | string = end.reason
live.destroy()
const plane: DataPlane = createDataPlane('stream')
const limited: Join = join(socket, socket, { aToB: { rate: plane.rateLimit(1000) } })
const code: 'ERR_SOCKET_TLS' | undefined = new MillraceError('ERR_SOCKET_TLS').code === 'ERR_SOCKET_TLS' ? 'ERR_SOCKET_TLS' : undefined
export { code, count, limited, path, reason, errorCodes }

// @ts-expect-error one socket is not enough
join(socket)
// @ts-expect-error a stream is no socket
join(socket, {} as import('node:stream').Duplex)
// @ts-expect-error there is no such option
join(socket, socket, { timeout: 1 })
// @ts-expect-error counters are read only
live.bytes = { aToB: 0n, bToA: 0n }
// @ts-expect-error the catalogue is closed
new MillraceError('ERR_OTHER')
// @ts-expect-error what is inside the package is not exported
await import('millrace/dist/dataplane/create.js')
`

const noTar = spawnSync('tar', ['--version']).status !== 0 && 'tar is not installed'

describe('the packed package', { skip: noTar }, () => {
  before(() => {
    // Scripts off: npm test has built, and packing must not build under the other tests.
    const pack = spawnSync('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', folder], {
      cwd: root,
      encoding: 'utf8',
    })
    assert.equal(pack.status, 0, pack.stderr)
    mkdirSync(installed, { recursive: true })
    const [tarball = ''] = readdirSync(folder).filter((name) => name.endsWith('.tgz'))
    // Unzipped here, as tar calls gzip, which a bare machine may lack.
    const input = gunzipSync(readFileSync(join(folder, tarball)))
    const unpacked = spawnSync('tar', ['xf', '-', '--strip-components=1', '-C', installed], { input })
    assert.equal(unpacked.status, 0, String(unpacked.stderr))
    writeFileSync(join(folder, 'package.json'), '{ "type": "module" }')
  })

  after(() => rmSync(folder, { recursive: true, force: true }))

  it('holds what is compiled, the engine to build, the documents, and nothing else', () => {
    const top = readdirSync(installed).sort((a, b) => a.localeCompare(b))
    const expected = ['binding.gyp', 'CHANGELOG.md', 'dist', 'docs', 'LICENSE', 'native', 'package.json', 'packaging']
    assert.deepEqual(
      top.filter((name) => name !== 'prebuilds'),
      [...expected, 'README.md', 'SECURITY.md'].sort((a, b) => a.localeCompare(b)),
    )
    accessSync(join(installed, 'dist/cli/main.js'), constants.X_OK)
  })

  it('has types that accept right use and refuse wrong use', () => {
    writeFileSync(join(folder, 'consumer.ts'), consumer)
    mkdirSync(join(folder, 'node_modules/@types'))
    for (const name of ['@types/node', 'undici-types']) {
      symlinkSync(join(root, 'node_modules', name), join(folder, 'node_modules', name))
    }
    const options = {
      strict: true,
      noEmit: true,
      module: 'nodenext',
      target: 'es2023',
      lib: ['es2023'],
      types: ['node'],
    }
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions: options, files: ['consumer.ts'] }))
    const tsc = spawnSync(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', folder], {
      encoding: 'utf8',
    })
    assert.equal(tsc.status, 0, tsc.stdout)
  })

  it('finds the addon that it carries', (t) => {
    const built = join(root, 'build/Release/millrace.node')
    if (!existsSync(built)) {
      t.skip('no addon is built here')
      return
    }
    const carried = join(installed, `prebuilds/${process.platform}-${process.arch}`)
    mkdirSync(carried, { recursive: true })
    copyFileSync(built, join(carried, 'millrace.node'))
    const script = "import { createDataPlane } from 'millrace'; console.log(createDataPlane('native').kind)"
    const found = spawnSync(process.execPath, ['--input-type=module', '-e', script], { cwd: folder, encoding: 'utf8' })
    assert.equal(found.stdout, 'native\n', found.stderr)
  })

  it('joins, in the example, without any of its dependencies', async (t) => {
    const service = createServer({ allowHalfOpen: true }, (socket) => socket.pipe(socket)).listen(0, '127.0.0.1')
    t.after(() => service.close())
    await once(service, 'listening')
    const address = service.address()
    assert(typeof address === 'object' && address !== null)
    const example = join(folder, 'tcp-proxy.mjs')
    copyFileSync(join(root, 'examples/tcp-proxy.mjs'), example)
    const proxy = spawn(process.execPath, [example, '0', `127.0.0.1:${address.port}`], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    t.after(() => proxy.kill())
    const lines = createInterface({ input: proxy.stdout })[Symbol.asyncIterator]()
    const listening = String((await lines.next()).value)
    const port = Number(/port: (\d+)/.exec(listening)?.[1])
    const visitor = connect({ port, host: '127.0.0.1', allowHalfOpen: true }).end('through the package')
    let echoed = ''
    for await (const chunk of visitor) echoed += String(chunk)
    assert.equal(echoed, 'through the package')
    assert.match(String((await lines.next()).value), /^19 bytes in by \w+, 19 out by \w+: eof$/)
  })
})

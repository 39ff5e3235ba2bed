/** RFC 8305: a name with several addresses, some of which are dead or silent. */
import { strict as assert } from 'node:assert'
import dns from 'node:dns'
import { syncBuiltinESMExports } from 'node:module'
import { type AddressInfo, createServer, type Server } from 'node:net'
import { blackHole } from './harness/black-hole.ts'
import { type Bench, contract, joins, tcp } from './harness/contract.ts'
import { rejects } from './harness/raw.ts'
import { hasIpv6 } from './harness/sockets.ts'

const onTcp = { who: joins, on: [tcp] }

/** The names of this file's tests, answered here instead of by the system's resolver. */
const names = new Map<string, dns.LookupAddress[]>()
const { lookup } = dns
const promised = dns.promises.lookup
type OnAll = (error: NodeJS.ErrnoException | null, addresses: dns.LookupAddress[]) => void
Object.assign(dns, {
  lookup: (host: string, options: dns.LookupAllOptions, callback: OnAll) => {
    const addresses = names.get(host)
    if (addresses === undefined) lookup(host, options, callback)
    else process.nextTick(callback, null, addresses)
  },
})
Object.assign(dns.promises, {
  lookup: async (host: string, options: dns.LookupAllOptions) => names.get(host) ?? (await promised(host, options)),
})
syncBuiltinESMExports()

function named(name: string, ...addresses: readonly string[]): string {
  names.set(
    name,
    addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
  )
  return name
}

async function serverAt(host: string, port = 0): Promise<Server> {
  const server = createServer((socket) => socket.end(host))
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, resolve)
  })
  return server
}

/** A server on a port that nobody has at another address either: tests that run beside this one listen there too. */
async function loneServer(host: string, other: string): Promise<Server> {
  for (;;) {
    const server = await serverAt(host)
    const probe = await serverAt(other, (server.address() as AddressInfo).port).catch(() => undefined)
    if (probe !== undefined) {
      await new Promise((resolve) => probe.close(resolve))
      return server
    }
    server.close()
  }
}

/** Dials `name`, and says which of its addresses answered, and after how long. */
async function answer(bench: Bench, name: string, port: number): Promise<{ readonly by: string; readonly ms: number }> {
  const { plane } = bench.contestant
  assert.ok(plane)
  const began = performance.now()
  const endpoint = await plane.dial({ host: name, port }, { timeoutMs: 20_000 })
  const ms = performance.now() - began
  const by = String(await endpoint.read(30_000))
  endpoint.destroy()
  return { by, ms }
}

contract('dial: a name whose first address is silent', onTcp, async (bench) => {
  const hole = await blackHole()
  const server = await serverAt('127.0.0.2', hole.port)
  try {
    const name = named('silent.test', '127.0.0.1', '127.0.0.2')
    const { by, ms } = await answer(bench, name, hole.port)
    assert.equal(by, '127.0.0.2')
    assert.ok(ms >= 200 && ms < 8_000, `the next attempt begins after 250 ms, this one was up after ${ms}`)
  } finally {
    server.close()
    await hole.close()
  }
})

contract('dial: a name whose first addresses refuse', onTcp, async (bench) => {
  const server = await serverAt('127.0.0.4')
  try {
    const { port } = server.address() as AddressInfo
    const { by } = await answer(bench, named('refusing.test', '127.0.0.2', '127.0.0.3', '127.0.0.4'), port)
    assert.equal(by, '127.0.0.4')
  } finally {
    server.close()
  }
})

contract('dial: a name all of whose addresses refuse', onTcp, async (bench) => {
  const server = await serverAt('127.0.0.1')
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  const { plane } = bench.contestant
  assert.ok(plane)
  const error = await rejects(plane.dial({ host: named('dead.test', '127.0.0.1', '127.0.0.2'), port }), 'ERR_DIAL')
  assert.match(error.message, /dead\.test/)
})

if (await hasIpv6()) {
  contract('dial: a name with both families, whichever of them answers', onTcp, async (bench) => {
    for (const [first, second] of [
      ['::1', '127.0.0.1'],
      ['127.0.0.1', '::1'],
    ] as const) {
      const name = named('both.test', first, second)
      const server = await loneServer(second, first)
      const servers = [server]
      try {
        const { port } = server.address() as AddressInfo
        assert.equal((await answer(bench, name, port)).by, second, 'the first one refuses')
        servers.push(await serverAt(first, port))
        assert.equal((await answer(bench, name, port)).by, first, 'both answer: the first is preferred')
      } finally {
        for (const each of servers) each.close()
      }
    }
  })
}

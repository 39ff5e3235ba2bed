import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import type { TestContext } from 'node:test'
import { Mailbox } from './events.ts'

/** A proxy of a test's own hand; it leads wherever it is asked to, on this host. */
export interface FakeProxy {
  readonly port: number
  /** `host:port` of every request, in order. */
  readonly asked: readonly string[]
  /** One item for each connection that was made to it. */
  readonly reached: Mailbox<true>
}

/** What a proxy does with a connection: resolves with where to lead it, and what to say first; undefined: nowhere. */
type Handshake = (
  read: Reader,
  socket: Socket,
) => Promise<{ readonly host: string; readonly port: number; readonly granted: Buffer } | undefined>

/** Reads exactly so many bytes, or up to a mark. */
interface Reader {
  bytes(n: number): Promise<Buffer>
  upTo(mark: string): Promise<string>
}

/** Starts a proxy on a free port; it ends with the test. */
async function startProxy(t: TestContext, handshake: Handshake): Promise<FakeProxy> {
  const sockets = new Set<Socket>()
  const asked: string[] = []
  const reached = new Mailbox<true>('a connection to the proxy')
  const serve = async (socket: Socket): Promise<void> => {
    const to = await handshake(readerOf(socket), socket)
    if (to === undefined) return
    asked.push(`${to.host}:${to.port}`)
    const onward = connect({ port: to.port, host: '127.0.0.1', allowHalfOpen: true }, () => {
      socket.write(to.granted)
      socket.pipe(onward)
      onward.pipe(socket)
    })
    sockets.add(onward)
    onward.on('error', () => socket.destroy())
    socket.on('error', () => onward.destroy())
  }
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket)
    reached.put(true)
    socket.on('error', () => undefined)
    serve(socket).catch(() => socket.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(async () => {
    const closed = new Promise((resolve) => server.close(resolve))
    for (const socket of sockets) socket.destroy()
    await closed
  })
  return { port: (server.address() as AddressInfo).port, asked, reached }
}

/** An HTTP proxy; with `basic` (`user:password`) it wants that. */
export function startHttpProxy(t: TestContext, basic = ''): Promise<FakeProxy> {
  const wanted = `Proxy-Authorization: Basic ${Buffer.from(basic).toString('base64')}`
  return startProxy(t, async (read, socket) => {
    const head = await read.upTo('\r\n\r\n')
    if (basic !== '' && !head.includes(`${wanted}\r\n`)) {
      socket.end('HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n')
      return undefined
    }
    const [, host = '', port] = /^CONNECT (.*):(\d+) HTTP/.exec(head) ?? []
    return { host, port: Number(port), granted: Buffer.from('HTTP/1.1 200 Connection established\r\n\r\n') }
  })
}

/** A SOCKS5 proxy that wants this user and password. */
export function startSocksProxy(t: TestContext, user: string, password: string): Promise<FakeProxy> {
  return startProxy(t, async (read, socket) => {
    const [, methods = 0] = await read.bytes(2)
    await read.bytes(methods)
    socket.write(Buffer.of(5, 2))
    const name = String(await read.bytes((await read.bytes(2))[1] ?? 0))
    const given = String(await read.bytes((await read.bytes(1))[0] ?? 0))
    const right = name === user && given === password
    socket.write(Buffer.of(1, right ? 0 : 1))
    if (!right) {
      socket.end()
      return undefined
    }
    const kind = (await read.bytes(4))[3]
    const host = kind === 3 ? String(await read.bytes((await read.bytes(1))[0] ?? 0)) : (await read.bytes(4)).join('.')
    const port = (await read.bytes(2)).readUInt16BE()
    return { host, port, granted: Buffer.from([5, 0, 0, 1, 127, 0, 0, 1, 0, 0]) }
  })
}

/** A proxy that accepts and never answers. */
export function startSilentProxy(t: TestContext): Promise<FakeProxy> {
  return startProxy(t, () => new Promise(() => undefined))
}

function readerOf(socket: Socket): Reader {
  const take = async (size: (held: Buffer) => number): Promise<Buffer> => {
    let held: Buffer = Buffer.alloc(0)
    for (;;) {
      const more = socket.read() as Buffer | null
      if (more !== null) held = Buffer.concat([held, more])
      const n = size(held)
      if (n >= 0) {
        if (held.length > n) socket.unshift(held.subarray(n))
        return held.subarray(0, n)
      }
      if (more !== null) continue
      await new Promise<void>((resolve, reject) => {
        socket.once('readable', resolve)
        socket.once('close', () => reject(new Error('closed')))
      })
    }
  }
  return {
    bytes: (n) => take((held) => (held.length >= n ? n : -1)),
    upTo: async (mark) =>
      String(
        await take((held) => {
          const at = held.indexOf(mark)
          return at === -1 ? -1 : at + mark.length
        }),
      ),
  }
}

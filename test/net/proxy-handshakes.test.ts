/** What is said to HTTP and SOCKS5 proxies, and what their answers amount to; whole ways through them: test/agent. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { MillraceError } from '../../src/errors.ts'
import { connectThroughHttp } from '../../src/net/http-connect.ts'
import { connectThroughSocks5 } from '../../src/net/socks5.ts'
import { type ScriptedEndpoint, scriptedEndpoint } from '../wire/scripted-endpoint.ts'

const bounded = { numRuns: 300, interruptAfterTimeLimit: 2_000, markInterruptAsFailure: false } as const
const relay = { host: 'relay.test', port: 4443 }
const credentials = { user: 'jane', password: 'hunter2' }
const deadlineMs = 10_000

const bytewise = (bytes: Uint8Array): readonly Buffer[] => [...bytes].map((byte) => Buffer.of(byte))
const hex = (text: string): Buffer => Buffer.from(text.replace(/\s/g, ''), 'hex')
const written = (endpoint: ScriptedEndpoint): Buffer => Buffer.concat(endpoint.written)
const rest = async (endpoint: ScriptedEndpoint): Promise<string> => String(await endpoint.read(deadlineMs))

async function refused(promise: Promise<void>): Promise<string> {
  const error: unknown = await promise.then(
    () => 'it went through',
    (reason: unknown) => reason,
  )
  assert.ok(error instanceof MillraceError && error.code === 'ERR_OUTBOUND_PROXY', String(error))
  assert.doesNotMatch(error.message, /hunter2|[^\x20-\x7e]/)
  return error.message
}

describe('CONNECT', () => {
  const connect = (answer: string | Buffer, how = bytewise) => {
    const endpoint = scriptedEndpoint(how(Buffer.from(answer)))
    return { endpoint, done: connectThroughHttp(endpoint, relay, credentials, deadlineMs) }
  }

  it('asks as RFC 9110 has it, with and without credentials', async () => {
    const { endpoint, done } = connect('HTTP/1.1 200 OK\r\n\r\n')
    await done
    const basic = Buffer.from('jane:hunter2').toString('base64')
    assert.equal(
      String(written(endpoint)),
      `CONNECT relay.test:4443 HTTP/1.1\r\nHost: relay.test:4443\r\nProxy-Authorization: Basic ${basic}\r\n\r\n`,
    )
    const bare = scriptedEndpoint([Buffer.from('HTTP/1.0 200\r\n\r\n')])
    await connectThroughHttp(bare, { host: '2001:db8::1', port: 1 }, undefined, deadlineMs)
    assert.equal(String(written(bare)), 'CONNECT [2001:db8::1]:1 HTTP/1.1\r\nHost: [2001:db8::1]:1\r\n\r\n')
  })

  it('leaves what follows the answer to the tunnel, lengths in it notwithstanding', async () => {
    const answer = 'HTTP/1.1 200 Connection established\r\nContent-Length: 3\r\nVia: x\r\n\r\n'
    for (const how of [bytewise, (bytes: Uint8Array) => [bytes]]) {
      const { endpoint, done } = connect(`${answer}\x16\x03\x01`, (bytes) => how(bytes).map((b) => Buffer.from(b)))
      await done
      assert.equal((await rest(endpoint))[0], '\x16')
    }
  })

  it('skips interim answers, and takes bare line feeds', async () => {
    const { endpoint, done } = connect('HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\n\nHTTP/1.1 200 OK\n\nT')
    await done
    assert.equal(await rest(endpoint), 'T')
    await refused(connect('HTTP/1.1 100 Continue\r\n\r\n'.repeat(20)).done)
  })

  it('says what a proxy refused, and what to do', async () => {
    const cases: readonly (readonly [string, RegExp])[] = [
      ['HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n\r\n', /407 .*user and a password/],
      ['HTTP/1.1 403 Forbidden\r\n\r\n', /403 Forbidden: it does not let/],
      ['HTTP/1.1 502 \x1b[31mred\x07\r\n\r\n', /answered 502 \?\[31mred\?$/],
      ['HTTP/1.1 101 Switching Protocols\r\n\r\n', /101/],
      ['HTTP/1.1 302 Found\r\nLocation: http://login\r\n\r\n', /302/],
      ['HTTP/2 200\r\n\r\n', /does not speak HTTP\/1/],
      ['HTTP/1.1 20 OK\r\n\r\n', /does not speak HTTP\/1/],
      ['HTTP/1.1 2000 OK\r\n\r\n', /does not speak HTTP\/1/],
      ['SSH-2.0-OpenSSH\r\n', /does not speak HTTP\/1/],
    ]
    for (const [answer, message] of cases) assert.match(await refused(connect(answer).done), message)
  })

  it('ends when the proxy does, or when its head has no end', async () => {
    await assert.rejects(connect('HTTP/1.1 200 OK\r\n').done, { code: 'ERR_ENDPOINT_ENDED' })
    const endless = Buffer.from(`HTTP/1.1 200 OK\r\n${'X: y\r\n'.repeat(4_000)}`)
    await assert.rejects(connect(endless, (bytes) => [Buffer.from(bytes)]).done, {
      code: 'ERR_ENDPOINT_HEAD_TOO_LARGE',
    })
  })

  it('answers any bytes with a tunnel or an error of ours', async () => {
    const start = fc.constantFrom('', 'HTTP/1.1 ', 'HTTP/1.1 200 ', 'HTTP/1.0 100 x\r\n')
    await fc.assert(
      fc.asyncProperty(start, fc.uint8Array({ maxLength: 100 }), async (head, tail) => {
        const { done } = connect(Buffer.concat([Buffer.from(head), tail]))
        const error: unknown = await done.then(
          () => undefined,
          (reason: unknown) => reason,
        )
        assert.ok(error === undefined || error instanceof MillraceError, String(error))
      }),
      bounded,
    )
  })
})

describe('SOCKS5', () => {
  const socks = (answer: Buffer, to = relay, using: typeof credentials | 'none' = credentials) => {
    const endpoint = scriptedEndpoint(bytewise(answer))
    return { endpoint, done: connectThroughSocks5(endpoint, to, using === 'none' ? undefined : using, deadlineMs) }
  }
  const granted = '05 00 00 01 7f000001 1234'

  it('asks without credentials as RFC 1928 has it, for names and addresses', async () => {
    const name = socks(hex(`0500 ${granted} 160301`), relay, 'none')
    await name.done
    assert.deepEqual(
      written(name.endpoint),
      hex(`050100 050100 03 0a ${Buffer.from('relay.test').toString('hex')} 115b`),
    )
    assert.equal(await rest(name.endpoint), '\x16')
    const four = socks(hex(`0500 ${granted}`), { host: '192.0.2.1', port: 1 }, 'none')
    await four.done
    assert.deepEqual(written(four.endpoint), hex('050100 050100 01 c0000201 0001'))
    const six = socks(hex(`0500 ${granted}`), { host: '2001:db8::1', port: 65_535 }, 'none')
    await six.done
    assert.deepEqual(written(six.endpoint), hex('050100 050100 04 20010db8000000000000000000000001 ffff'))
  })

  it('logs in as RFC 1929 has it, when the proxy asks for it', async () => {
    const { endpoint, done } = socks(hex(`0502 0100 ${granted}`))
    await done
    const login = `01 04 ${Buffer.from('jane').toString('hex')} 07 ${Buffer.from('hunter2').toString('hex')}`
    assert.deepEqual(written(endpoint).subarray(0, 4 + 14), hex(`05020002 ${login}`))
    const unasked = socks(hex(`0500 ${granted}`))
    await unasked.done
    assert.ok(!written(unasked.endpoint).includes('hunter2'))
  })

  it('reads replies with any kind of address, and takes nothing beyond', async () => {
    for (const address of ['01 00000000', `04 ${'00'.repeat(16)}`, `03 ff ${'61'.repeat(255)}`, '03 00']) {
      const { endpoint, done } = socks(hex(`0500 050000 ${address} 0000 54`))
      await done
      assert.equal(await rest(endpoint), 'T')
    }
  })

  it('says what a proxy refused', async () => {
    const cases: readonly (readonly [string, RegExp])[] = [
      ['05ff', /no way to log in/],
      ['0501', /not offered/],
      ['0502 0101', /does not accept the user and the password/],
      ['0500 0502', /not allowed to connect/],
      ['0500 0504 00 01 00000000 0000', /cannot reach the relay/],
      ['0500 0577', /code 119/],
      ['0500 050001', /does not speak SOCKS5/],
      ['0500 050000 02', /does not speak SOCKS5/],
      ['0400', /does not speak SOCKS5/],
      ['485454502f312e31', /does not speak SOCKS5/],
      ['0502 0700', /does not speak SOCKS5/],
    ]
    for (const [answer, message] of cases) assert.match(await refused(socks(hex(answer)).done), message)
    assert.match(await refused(socks(hex('05ff'), relay, 'none').done), /wants a user and a password/)
    await refused(socks(hex('0502'), relay, 'none').done)
  })

  it('answers any bytes with a connection or an error of ours', async () => {
    const start = fc.constantFrom('', '0500', '05020100', '0500050000', '050005000003')
    await fc.assert(
      fc.asyncProperty(start, fc.uint8Array({ maxLength: 300 }), async (head, tail) => {
        const error: unknown = await socks(Buffer.concat([hex(head), tail])).done.then(
          () => undefined,
          (reason: unknown) => reason,
        )
        assert.ok(error === undefined || error instanceof MillraceError, String(error))
      }),
      bounded,
    )
  })
})

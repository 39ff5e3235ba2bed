import { isIP } from 'node:net'
import type { Endpoint } from '../dataplane/types.ts'
import { MillraceError } from '../errors.ts'
import type { HostPort } from './address.ts'
import { ipToBytes } from './ip-bytes.ts'
import type { ProxyCredentials } from './proxy-server.ts'

const version = 5
const noAuthentication = 0
const userAndPassword = 2
const nothingAcceptable = 0xff
/** Longest reply (RFC 1928 section 6): a name of 255 bytes. */
const maxReplyBytes = 262

/**
 * Asks a SOCKS5 proxy for a connection (RFC 1928, with user and password by RFC 1929). Names are resolved by the proxy.
 * Afterwards `endpoint` carries the bytes of `to`. Throws ERR_OUTBOUND_PROXY with the proxy's reason, and what reads of
 * the endpoint reject with. The endpoint stays the caller's.
 */
export async function connectThroughSocks5(
  endpoint: Endpoint,
  to: HostPort,
  credentials: ProxyCredentials | undefined,
  deadlineMs: number,
): Promise<void> {
  const due = performance.now() + deadlineMs
  const read = (findEnd: (bytes: Buffer) => number): Promise<Buffer> =>
    endpoint.readHead(findEnd, maxReplyBytes, Math.max(1, due - performance.now()))

  const methods = credentials === undefined ? [noAuthentication] : [noAuthentication, userAndPassword]
  endpoint.write(Buffer.of(version, methods.length, ...methods))
  const method = (await read(findMethodEnd))[1]
  if (method === nothingAcceptable) {
    refuse(credentials === undefined ? 'wants a user and a password' : 'offers no way to log in that is known here')
  }
  if (method === userAndPassword && credentials !== undefined) {
    endpoint.write(logIn(credentials))
    // RFC 1929 section 2: anything but 0 is a refusal.
    if ((await read(findLogInEnd))[1] !== 0) refuse('does not accept the user and the password')
  } else if (method !== noAuthentication) {
    refuse('chose a way to log in that was not offered')
  }
  endpoint.write(request(to))
  const reply = (await read(findReplyEnd))[1] ?? 0
  if (reply !== 0) refuse(replies[reply] ?? `refused with code ${reply}`)
}

/** RFC 1928 section 6. */
const replies: Readonly<Record<number, string>> = {
  1: 'failed',
  2: "is not allowed to connect to the relay's port",
  3: 'cannot reach the network of the relay',
  4: 'cannot reach the relay, or resolve its name',
  5: 'was refused by the relay (nothing listens there)',
  6: 'gave up waiting for the relay (TTL expired)',
  7: 'does not know CONNECT',
  8: 'does not know this kind of address',
}

function logIn({ user, password }: ProxyCredentials): Buffer {
  const name = Buffer.from(user)
  const secret = Buffer.from(password)
  return Buffer.concat([Buffer.of(1, name.length), name, Buffer.of(secret.length), secret])
}

function request({ host, port }: HostPort): Buffer {
  const plain = host.replace(/%.*$/s, '')
  const ip = isIP(plain)
  const name = Buffer.from(host)
  const address =
    ip === 0
      ? Buffer.concat([Buffer.of(3, name.length), name])
      : Buffer.concat([Buffer.of(ip === 4 ? 1 : 4), ipToBytes(plain)])
  return Buffer.concat([Buffer.of(version, 1, 0), address, Buffer.of(port >>> 8, port & 0xff)])
}

/** Finds the end of the answer to our greeting. All three throw ERR_OUTBOUND_PROXY for what is no SOCKS5. */
export function findMethodEnd(bytes: Buffer): number {
  expectVersion(bytes, version)
  return bytes.length < 2 ? 0 : 2
}

/** Finds the end of the answer to user and password; its version is 1 (RFC 1929), which some proxies get wrong. */
export function findLogInEnd(bytes: Buffer): number {
  if (bytes.length > 0 && bytes[0] !== version) expectVersion(bytes, 1)
  return bytes.length < 2 ? 0 : 2
}

/** Finds the end of the answer to our request, whose length depends on the kind of the address in it. */
export function findReplyEnd(bytes: Buffer): number {
  expectVersion(bytes, version)
  const [, reply, reserved, kind, nameLength] = bytes
  // A refusal may come without an address, whatever the RFC says.
  if (reply !== undefined && reply !== 0) return bytes.length
  if (reserved !== undefined && reserved !== 0) refuse('does not speak SOCKS5')
  if (kind === undefined) return 0
  const size = kind === 1 ? 4 : kind === 4 ? 16 : kind === 3 ? 1 + (nameLength ?? 0) : undefined
  if (size === undefined || nameLength === undefined) return size === undefined ? refuse('does not speak SOCKS5') : 0
  const end = 4 + size + 2
  return bytes.length < end ? 0 : end
}

function expectVersion(bytes: Buffer, expected: number): void {
  if (bytes.length > 0 && bytes[0] !== expected) refuse('does not speak SOCKS5')
}

function refuse(what: string): never {
  throw new MillraceError('ERR_OUTBOUND_PROXY', what)
}

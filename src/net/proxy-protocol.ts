import { isIPv4, isIPv6 } from 'node:net'
import { MillraceError } from '../errors.ts'
import type { HostPort } from './address.ts'
import { ipFromBytes, ipToBytes } from './ip-bytes.ts'

/**
 * The PROXY protocol (HAProxy, `doc/proxy-protocol.txt`): a header in front of a connection's bytes in which a load
 * balancer says who is behind it. This is the side that reads; proxy-protocol-header.ts writes. Only ever read it from
 * sources that are trusted: whoever may send it may claim any address.
 */
export type ProxyHeader =
  | { readonly kind: 'proxied'; readonly source: HostPort; readonly destination: HostPort }
  /** Says nothing of an IP address (LOCAL, UNKNOWN, unix): the connection's own addresses count. */
  | { readonly kind: 'own' }

/** Most bytes of a header. Version 1 has 107; version 2 carries a few hundred of TLVs, which are skipped. */
export const maxProxyHeaderBytes = 4096

/** Version 1's longest line, CRLF included (section 2.1). */
const maxLine = 107
const lineStart = Buffer.from('PROXY ')
/** Section 2.2. */
const signature = Buffer.from('0d0a0d0a000d0a515549540a', 'hex')
const fixedBytes = 16

/**
 * Finds the header's end in a connection's first bytes, for {@link Endpoint.readHead}: its length, or 0 while it is not
 * complete. Throws ERR_PROXY_PROTOCOL at the first byte that can't belong to one.
 */
export function findProxyHeaderEnd(bytes: Buffer): number {
  if (bytes.length === 0) return 0
  if (bytes[0] === lineStart[0]) return findLineEnd(bytes)
  expectStart(bytes, signature)
  if (bytes.length < fixedBytes) return 0
  const end = fixedBytes + bytes.readUInt16BE(14)
  if (end > maxProxyHeaderBytes) refuse(`version 2 header longer than ${maxProxyHeaderBytes} bytes`)
  return bytes.length < end ? 0 : end
}

/** Reads a whole header, as {@link findProxyHeaderEnd} has found it. Throws ERR_PROXY_PROTOCOL. */
export function parseProxyHeader(header: Buffer): ProxyHeader {
  return header[0] === lineStart[0] ? parseLine(header) : parseBinary(header)
}

function findLineEnd(bytes: Buffer): number {
  expectStart(bytes, lineStart)
  const end = bytes.subarray(0, maxLine).indexOf('\r\n')
  if (end !== -1) return end + 2
  if (bytes.length >= maxLine) refuse(`version 1 header longer than ${maxLine} bytes`)
  return 0
}

function expectStart(bytes: Buffer, start: Buffer): void {
  const n = Math.min(bytes.length, start.length)
  if (!bytes.subarray(0, n).equals(start.subarray(0, n))) refuse('the connection does not begin with a header')
}

function parseLine(header: Buffer): ProxyHeader {
  const [, family = '', ...fields] = header.toString('latin1', 0, header.length - 2).split(' ')
  // Whatever follows UNKNOWN is to be ignored (section 2.1).
  if (family === 'UNKNOWN') return { kind: 'own' }
  const isAddress = family === 'TCP4' ? isIPv4 : family === 'TCP6' ? isPlainIpv6 : undefined
  if (isAddress === undefined) return refuse('version 1 header with another family than TCP4, TCP6 or UNKNOWN')
  const [source = '', destination = '', sourcePort, destinationPort] = fields
  if (fields.length !== 4) refuse('version 1 header with other than two addresses and two ports')
  if (!isAddress(source) || !isAddress(destination)) refuse('version 1 header with a bad address')
  return {
    kind: 'proxied',
    source: { host: canonical(source), port: linePort(sourcePort) },
    destination: { host: canonical(destination), port: linePort(destinationPort) },
  }
}

function isPlainIpv6(text: string): boolean {
  return isIPv6(text) && !text.includes('%')
}

function canonical(host: string): string {
  return ipFromBytes(ipToBytes(host))
}

function linePort(text = ''): number {
  if (!/^(?:0|[1-9]\d{0,4})$/.test(text) || Number(text) > 65_535) refuse('version 1 header with a bad port')
  return Number(text)
}

/** Bytes of an address by family and protocol (byte 13): TCP over IPv4, TCP over IPv6. */
const addressBytes: ReadonlyMap<number, number> = new Map([
  [0x11, 4],
  [0x21, 16],
])
/** Families without an IP address: none, unix stream. */
const withoutAddress: ReadonlySet<number> = new Set([0x00, 0x31])

function parseBinary(header: Buffer): ProxyHeader {
  const versionAndCommand = header[12] ?? 0
  const family = header[13] ?? 0
  if (versionAndCommand === 0x20) return { kind: 'own' }
  if (versionAndCommand !== 0x21) refuse('version 2 header with another version or command')
  if (withoutAddress.has(family)) return { kind: 'own' }
  const size = addressBytes.get(family)
  if (size === undefined) return refuse('version 2 header with another family than TCP over IPv4 or IPv6')
  if (header.length < fixedBytes + 2 * size + 4) refuse('version 2 header too short for its addresses')
  const at = (index: number): string =>
    ipFromBytes(header.subarray(fixedBytes + index * size, fixedBytes + (index + 1) * size))
  const ports = fixedBytes + 2 * size
  return {
    kind: 'proxied',
    source: { host: at(0), port: header.readUInt16BE(ports) },
    destination: { host: at(1), port: header.readUInt16BE(ports + 2) },
  }
}

function refuse(why: string): never {
  throw new MillraceError('ERR_PROXY_PROTOCOL', why)
}

import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { contentType, message, record } from './records.ts'

/** Contents of a ClientHello that is made by hand. */
export interface HelloOptions {
  /** The version in the message itself: 0x0303 for 1.2 and 1.3, lower for older ones. */
  readonly version?: number
  readonly suites?: readonly number[]
  /** Versions of the extension that 1.3 brought; none: the extension is left out. */
  readonly versions?: readonly number[]
  /** Behind all others, as numbers of types and contents. */
  readonly extensions?: readonly (readonly [number, Uint8Array])[]
  /** Bytes that the padding extension adds. */
  readonly padding?: number
}

const extensionType = { groups: 10, signatures: 13, padding: 21, versions: 43, keyShare: 51 } as const
const x25519 = 0x001d

/** A vector that its length precedes. */
export function vector(lengthBytes: 1 | 2, ...parts: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(parts)
  const length = Buffer.alloc(lengthBytes)
  length.writeUIntBE(content.length, 0, lengthBytes)
  return Buffer.concat([length, content])
}

/** Numbers of two bytes each. */
export function words(...values: readonly number[]): Buffer {
  return Buffer.from(values.flatMap((value) => [value >> 8, value & 0xff]))
}

function extension(type: number, content: Uint8Array): Buffer {
  return Buffer.concat([words(type), vector(2, content)])
}

/** A public key of X25519 that some private key belongs to. */
function publicKey(): Buffer {
  return generateKeyPairSync('x25519').publicKey.export({ type: 'spki', format: 'der' }).subarray(-32)
}

/** The ClientHello message, without its record. By default one that any server of 1.3 answers. */
export function helloMessage(options: HelloOptions = {}): Buffer {
  const { version = 0x0303, suites = [0x1301, 0xc02b, 0xc02f], versions = [0x0304, 0x0303], padding = 0 } = options
  const extensions = [
    extension(extensionType.groups, vector(2, words(x25519, 0x0017))),
    extension(extensionType.signatures, vector(2, words(0x0403, 0x0804, 0x0401))),
    extension(extensionType.keyShare, vector(2, words(x25519), vector(2, publicKey()))),
  ]
  if (versions.length > 0) extensions.push(extension(extensionType.versions, vector(1, words(...versions))))
  if (padding > 0) extensions.push(extension(extensionType.padding, Buffer.alloc(padding)))
  for (const [type, content] of options.extensions ?? []) extensions.push(extension(type, content))
  const fixed = [words(version), randomBytes(32), vector(1, randomBytes(32)), vector(2, words(...suites))]
  return message(1, Buffer.concat([...fixed, vector(1, Buffer.of(0)), vector(2, ...extensions)]))
}

/** The same in a record. */
export function hello(options: HelloOptions = {}): Buffer {
  return record(contentType.handshake, helloMessage(options))
}

/** A hello of SSL 2.0, which asks for a version up to TLS 1.2: RFC 5246 appendix E.2. */
export function sslv2Hello(): Buffer {
  const suites = Buffer.from([0x07, 0x00, 0xc0, 0x00, 0x00, 0x2f])
  const body = Buffer.concat([Buffer.of(1), words(0x0303, suites.length, 0, 32), suites, randomBytes(32)])
  return Buffer.concat([words(0x8000 | body.length), body])
}

/** Early data is announced, by a ticket that nobody has issued: RFC 8446 sections 4.2.10 and 4.2.11. */
export function earlyDataHello(): Buffer {
  const identity = Buffer.concat([vector(2, randomBytes(64)), Buffer.alloc(4)])
  const offered = Buffer.concat([vector(2, identity), vector(2, vector(1, randomBytes(32)))])
  return hello({
    extensions: [
      [45, vector(1, Buffer.of(1))],
      [42, Buffer.alloc(0)],
      [41, offered],
    ],
  })
}

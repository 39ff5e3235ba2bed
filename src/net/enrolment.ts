import { MillraceError } from '../errors.ts'
import { formatHostPort, type HostPort, parseHostPort } from './address.ts'

/** All that an agent needs to come in at a relay. */
export interface Enrolment {
  readonly relay: HostPort
  /** A secret. */
  readonly token: string
  /** SHA-256 of the public keys (SubjectPublicKeyInfo) that the relay may have, hex. */
  readonly pins: readonly [string, ...string[]]
}

/** The relay's tunnel port when none is named. */
export const defaultTunnelPort = 4443

/** `millrace://TOKEN@HOST:PORT#sha256=HEX`; more pins follow with commas. A secret: the one URL that has one in it. */
export function formatEnrolment({ relay, token, pins }: Enrolment): string {
  return `millrace://${token}@${formatHostPort(relay.host, relay.port)}#sha256=${pins.join(',')}`
}

/** Reads it back. Throws ERR_ENROLMENT, which shows nothing of the text. */
export function parseEnrolment(text: string): Enrolment {
  const [, token = '', address = '', fragment = ''] =
    /^millrace:\/\/([^@/#]*)@([^@/#]*)\/?(#.*)?$/s.exec(text.trim()) ?? []
  if (address === '') refuse('it has another form')
  if (!/^[\w.~-]{1,256}$/.test(token)) refuse('the token is missing, or has characters that none has')
  let relay: HostPort
  try {
    relay = parseHostPort(address, { port: defaultTunnelPort })
  } catch {
    return refuse('what follows the @ is no address')
  }
  const [first, ...others] = (/^#sha256=(.*)$/s.exec(fragment)?.[1] ?? '').split(',')
  const pins: [string, ...string[]] = [pinOf(first), ...others.map(pinOf)]
  return { relay, token, pins }
}

function pinOf(text = ''): string {
  if (!/^[0-9a-f]{64}$/i.test(text))
    refuse("the end must be #sha256= and the SHA-256 of the relay's key, 64 hex digits")
  return text.toLowerCase()
}

function refuse(why: string): never {
  throw new MillraceError('ERR_ENROLMENT', why)
}

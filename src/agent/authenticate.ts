import type { Endpoint } from '../dataplane/types.ts'
import { MillraceError } from '../errors.ts'
import { printable } from '../printable.ts'
import { readMessage, writeMessage } from '../wire/codec.ts'
import { announcedRelease, maxFrame, maxNameLength, protocolVersion } from '../wire/limits.ts'
import { type Extension, negotiate } from '../wire/messages.ts'

/** Whom the agent says it is. */
export interface Credentials {
  /** A secret. */
  readonly token: string
  /** '' or the id of the last session. */
  readonly clientId: string
}

/** The relay's yes. */
export interface Welcome {
  readonly accepted: true
  readonly clientId: string
  /** False for an ngrok 1.x server: nothing that it doesn't know may be sent. */
  readonly extended: boolean
  readonly extensions: ReadonlySet<Extension>
}

/** The relay's no, which is final. */
export interface Rejection {
  readonly accepted: false
  /** The relay's sentence, made printable. */
  readonly reason: string
}

// Go's names, as 1.x servers expect them.
const operatingSystems: Readonly<Record<string, string>> = { win32: 'windows', sunos: 'solaris' }
const architectures: Readonly<Record<string, string>> = { x64: 'amd64', ia32: '386' }

/**
 * The first exchange on a control connection. Rejects with ERR_AGENT_PROTOCOL when the answer is none, and with what
 * {@link readMessage} rejects with.
 */
export async function authenticate(
  control: Endpoint,
  credentials: Credentials,
  offered: readonly Extension[],
  deadlineMs: number,
): Promise<Welcome | Rejection> {
  writeMessage(control, {
    type: 'Auth',
    Version: protocolVersion,
    MmVersion: announcedRelease,
    User: credentials.token,
    Password: '',
    OS: operatingSystems[process.platform] ?? process.platform,
    Arch: architectures[process.arch] ?? process.arch,
    ClientId: credentials.clientId,
    Extensions: offered,
  })
  const answer = await readMessage(control, maxFrame, deadlineMs)
  if (answer.type !== 'AuthResp') throw new MillraceError('ERR_AGENT_PROTOCOL', `${answer.type} instead of AuthResp`)
  if (answer.Error !== '') return { accepted: false, reason: printable(answer.Error, maxNameLength) }
  return {
    accepted: true,
    clientId: answer.ClientId,
    extended: answer.Extensions !== undefined,
    extensions: new Set(negotiate(answer.Extensions, offered)),
  }
}

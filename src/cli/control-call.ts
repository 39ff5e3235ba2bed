import { createDataPlane } from '../dataplane/create.ts'
import { MillraceError } from '../errors.ts'
import { type ControlReply, findLine, maxControlBytes } from '../net/control-line.ts'
import { CommandFailure } from './exit.ts'

/** How long an answer may take, ms. */
const answerMs = 30_000

/** Sends a command to the relay that listens there. Rejects with {@link CommandFailure}: none answers, or what it said. */
export async function callRelay(path: string, command: string): Promise<Readonly<Record<string, unknown>>> {
  let reply: ControlReply
  try {
    const endpoint = await createDataPlane().dial({ path })
    endpoint.write(Buffer.from(`${JSON.stringify({ command })}\n`))
    const line = await endpoint.readHead(findLine, maxControlBytes, answerMs)
    endpoint.destroy()
    reply = JSON.parse(line.toString('utf8')) as ControlReply
  } catch (error) {
    const cause = error instanceof Error ? error.cause : undefined
    const errno: unknown = cause instanceof Error ? Reflect.get(cause, 'code') : undefined
    const why = typeof errno === 'string' ? errno : error instanceof MillraceError ? error.code : 'no answer'
    throw new CommandFailure(`no relay answers at ${path} (${why})`, { cause: error })
  }
  if (!reply.ok) throw new CommandFailure(reply.error)
  return reply
}

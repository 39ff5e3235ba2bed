/** What the process ends with. `refused` also covers wrong configuration and addresses that can't be bound. */
export const exitCodes = { ok: 0, refused: 1, usage: 2 } as const

/** A failure that one sentence explains to whoever typed the command: no stack, exit code 1. */
export class CommandFailure extends Error {
  override readonly name = 'CommandFailure'
}

/** An error as the one sentence that users see on standard error. */
export function sentenceOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error)
  // One line, and nothing in it that a terminal obeys.
  return `millrace: ${message.replace(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, ' ').trim()}`
}

/**
 * Ends the process with one sentence on whatever nobody caught. Node's own report would show source lines and object
 * dumps, which may hold secrets; `NODE_DEBUG=millrace` asks for the stack.
 */
export function dieOnUnhandled(): void {
  const die = (error: unknown): void => {
    fail(error)
    process.exit(exitCodes.refused)
  }
  process.on('uncaughtException', die)
  process.on('unhandledRejection', die)
}

/** Prints the sentence, and the stack when `NODE_DEBUG` names millrace. */
export function fail(error: unknown): void {
  process.stderr.write(`${sentenceOf(error)}\n`)
  const wanted = /\bmillrace\b/i.test(process.env['NODE_DEBUG'] ?? '')
  if (wanted && error instanceof Error) process.stderr.write(`${error.stack ?? ''}\n`)
}

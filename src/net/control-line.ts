/** Most bytes of a request to a relay's control socket, and of an answer. */
export const maxControlBytes = 16_384

/** An answer of a running relay. */
export type ControlReply =
  | ({ readonly ok: true } & Readonly<Record<string, unknown>>)
  | { readonly ok: false; readonly error: string }

/** The end of a line, for `Endpoint.readHead`. */
export function findLine(bytes: Buffer): number {
  return bytes.indexOf(0x0a) + 1
}

/** The command of a request; undefined when it is none. */
export function parseRequest(line: string): string | undefined {
  try {
    const request: unknown = JSON.parse(line)
    const command: unknown =
      typeof request === 'object' && request !== null ? Reflect.get(request, 'command') : undefined
    return typeof command === 'string' ? command : undefined
  } catch {
    return undefined
  }
}

import type { Port } from './port.ts'

/** Who takes what a port receives. */
export interface PortReader {
  /** After {@link Port.arm}: there is something to pull. */
  onReadable(): void
  /** After {@link Port.flow}: bytes, which the reader must keep or forward. */
  onChunk(chunk: Buffer): void
  /** The peer has ended, and everything before its FIN has been handed out. */
  onEnd(): void
}

/** Who writes to a port. */
export interface PortWriter {
  /** Node has finished one or more writes; how they went shows in {@link Port.failure}. */
  onWritten(): void
}

/** Who learns that a port is gone. */
export interface PortWatcher {
  /** The connection of `port` failed. `errno` is its name, '' when somebody else destroyed the socket. */
  onFailed(errno: string, port: Port): void
}

/** Stands for errno's name where a TLS session was cut off, and that counts as a failure. */
export const truncatedCode = 'TRUNCATED'

/** Errno's name of a system error, Node's or OpenSSL's code for what has none, '' for everything else. */
export function errnoOf(error: unknown): string {
  if (typeof error !== 'object' || error === null || !('code' in error)) return ''
  return typeof error.code === 'string' ? error.code : ''
}

import type { DataPlane } from '../../../src/dataplane/types.ts'
import { adoptedPair, type JoinedPair } from './sockets.ts'

/** A join with bulk both ways that doesn't end by itself; resolves once 8 MiB have passed each way. */
export async function traffic(plane: DataPlane): Promise<JoinedPair> {
  const pair = await adoptedPair(plane)
  const block = Buffer.alloc(1 << 20, 7)
  for (const { peer } of [pair.a, pair.b]) {
    const more = (): void => {
      while (!peer.destroyed && peer.write(block));
    }
    peer.on('drain', more)
    peer.resume()
    more()
  }
  const { join } = pair
  while (join.bytes.aToB < 8n << 20n || join.bytes.bToA < 8n << 20n) await turn()
  return pair
}

/** The next turn of the event loop. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

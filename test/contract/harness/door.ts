import type { DataPlane, Endpoint, Listener } from '../../../src/dataplane/types.ts'
import { freshAddress, type Transport, targetOf } from './sockets.ts'
import { eventually, within } from './wait.ts'

/** Where the beds register what is to be done at the end: a test context. */
export interface CleanUp {
  after(cleanup: () => void | Promise<void>): void
}

/** A listener of the data plane whose endpoints are taken one by one. */
export class Door {
  readonly listener: Listener
  readonly #arrived: Endpoint[]

  private constructor(listener: Listener, arrived: Endpoint[]) {
    this.listener = listener
    this.#arrived = arrived
  }

  /** Listens on any free address of the transport. */
  static async open(plane: DataPlane, transport: Transport): Promise<Door> {
    const arrived: Endpoint[] = []
    const listener = await plane.listen(freshAddress(transport), {}, (batch) => {
      arrived.push(...batch)
    })
    return new Door(listener, arrived)
  }

  /** Where to connect to. */
  get target(): ReturnType<typeof targetOf> {
    return targetOf(this.listener.address)
  }

  /** The next endpoint. */
  async next(): Promise<Endpoint> {
    await eventually('an endpoint arrives', () => this.#arrived.length > 0)
    const endpoint = this.#arrived.shift()
    if (endpoint === undefined) throw new Error('no endpoint')
    return endpoint
  }

  /** Closes the listener and whatever nobody took. */
  async close(): Promise<void> {
    await within(this.listener.close(), 'the listener closes')
    for (const endpoint of this.#arrived) endpoint.destroy('reset')
  }
}

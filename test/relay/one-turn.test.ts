/** When a proxy connection waits, its visitor does not. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { createDataPlane } from '../../src/dataplane/create.ts'
import type { DataPlane } from '../../src/dataplane/types.ts'
import { FrameSocket } from './frame-socket.ts'
import { RelayBed } from './relay-bed.ts'

/** A data plane that notes for each join whether it began within the call that brought the visitor. */
function noting(joined: boolean[]): DataPlane {
  const dataPlane = createDataPlane()
  let inCall = false
  const listen: DataPlane['listen'] = (address, options, onEndpoints) =>
    dataPlane.listen(address, options, (batch) => {
      inCall = true
      try {
        onEndpoints(batch)
      } finally {
        inCall = false
      }
    })
  const join: DataPlane['join'] = (visitor, proxy, options) => {
    joined.push(inCall)
    return dataPlane.join(visitor, proxy, options)
  }
  return new Proxy(dataPlane, {
    get: (target, key) => {
      if (key === 'join') return join
      if (key === 'listen') return listen
      const value: unknown = Reflect.get(target, key)
      return typeof value === 'function' ? (value.bind(target) as unknown) : value
    },
  })
}

describe('a visitor for whom a proxy connection waits', () => {
  for (const kind of ['ours', '1.x'] as const) {
    it(`is announced and joined in the turn of the loop that brought it (agent: ${kind})`, async (t) => {
      const joined: boolean[] = []
      const bed = await RelayBed.start(t, {}, [], noting(joined))
      const agent = await bed.agent(kind === 'ours' ? { extensions: ['ticket'] } : {})
      const { port } = await agent.tcp()
      // When the relay has a proxy connection in its pool is not seen from here: a visitor that was too early is no fault.
      for (let round = 0; round < 20 && !joined.includes(true); round++) {
        const [pooled] = await agent.answerReqProxy()
        await setTimeout(50)
        const visitor = await FrameSocket.plain(port)
        await pooled?.next('StartProxy')
        visitor.destroy()
      }
      assert(joined.includes(true), `${joined.length} visitors, and all were joined later`)
    })
  }
})

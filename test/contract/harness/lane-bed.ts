import { createDataPlane } from '../../../src/dataplane/create.ts'
import type { DataPlane, Endpoint, JoinResult, Lane } from '../../../src/dataplane/types.ts'
import { type CleanUp, Door } from './door.ts'
import { secureBoth } from './tls-bed.ts'
import { within } from './wait.ts'

/** How an endpoint is a visit. */
export interface LaneSide {
  /** `opens`: the visit is begun here, as a relay does; `accepts`: there. */
  readonly role: 'opens' | 'accepts'
  /** The lane's connection speaks TLS. */
  readonly tls: boolean
  /** Which data plane has the other end of the lane: this one, or the one of the other kind. */
  readonly far: 'same' | 'other'
}

/** What both ends of one lane have told. */
interface Ends {
  readonly near: Lane
  readonly far: Lane
  /** The next visit on the end that accepts. */
  visit(): Promise<Endpoint>
  /** Resolves when the end that opens is free once more. */
  freed(): Promise<void>
}

const others = new Map<DataPlane['kind'], DataPlane>()
const all = new Set<DataPlane>()

/** The data plane at the other end of a lane; undefined when there is none here that has lanes. */
export function farPlane(plane: DataPlane, { far }: LaneSide): DataPlane | undefined {
  const kind = plane.kind === 'stream' ? 'native' : 'stream'
  const other = others.get(kind) ?? createDataPlane(kind)
  others.set(kind, other)
  const found = far === 'same' ? plane : other
  return found.hasLanes && plane.hasLanes && (far === 'same' || found.kind === kind) ? found : undefined
}

/** Lanes that were closed as a frame did not fit, on all data planes that had one: no test has such peers. */
export function laneFaults(): number {
  return [...all].reduce((sum, plane) => sum + plane.stats().total.lanes.faults, 0)
}

/**
 * A visit on a lane of `plane`, which has carried others before, and at its far end `beyond`, an endpoint of the far data
 * plane, joined with the visit there. The lane ends with the test.
 */
export async function visitOf(
  plane: DataPlane,
  far: DataPlane,
  side: LaneSide,
  beyond: Endpoint,
  t: CleanUp,
): Promise<Endpoint> {
  const ends = await lane(plane, far, side, t)
  await warmUp(ends, side.role)
  if (side.role === 'opens') {
    // It begins when the test uses it, if it does, and may come when the test is over.
    let over = false
    t.after(() => {
      over = true
      beyond.destroy('reset')
    })
    void ends.visit().then((visit) => {
      if (over) visit.destroy('reset')
      else far.join(visit, beyond)
    })
    return ends.near.open(Buffer.from('visit'))
  }
  const onEnd = ({ reason }: JoinResult): void => {
    // The test ended its lane before anything was on it.
    if (reason === 'unreachable') beyond.destroy('reset')
  }
  far.join(beyond, ends.far.open(Buffer.from('visit')), { onEnd })
  return await within(ends.visit(), 'the visit comes')
}

async function lane(plane: DataPlane, far: DataPlane, { role, tls }: LaneSide, t: CleanUp): Promise<Ends> {
  const door = await Door.open(far, 'tcp')
  const dialed = await within(plane.dial(door.target), 'dial')
  const accepted = await door.next()
  await door.close()
  const [one, two] = tls ? await secureBoth(plane, dialed, far, accepted) : [dialed, accepted]
  const visits: Endpoint[] = []
  let visited: (() => void) | undefined
  let free: (() => void) | undefined
  const accepts = {
    onVisit: (visit: Endpoint) => {
      visits.push(visit)
      visited?.()
    },
    onClosed: () => undefined,
  }
  const opens = { onFree: () => free?.(), onClosed: () => undefined }
  const ends = {
    near: plane.lane(one, role, role === 'opens' ? opens : accepts),
    far: far.lane(two, role === 'opens' ? 'accepts' : 'opens', role === 'opens' ? accepts : opens),
    visit: async () => {
      for (;;) {
        const visit = visits.shift()
        if (visit !== undefined) return visit
        await new Promise<void>((resolve) => {
          visited = resolve
        })
      }
    },
    freed: () =>
      new Promise<void>((resolve) => {
        free = resolve
      }),
  }
  for (const used of [plane, far]) all.add(used)
  t.after(() => {
    ends.near.destroy('reset')
    ends.far.destroy('reset')
  })
  return ends
}

/** Two visits, one that ends and one that is reset, with bytes that no test sends. */
async function warmUp(ends: Ends, role: LaneSide['role']): Promise<void> {
  const opens = role === 'opens' ? ends.near : ends.far
  for (const how of ['fin', 'reset'] as const) {
    const freed = ends.freed()
    const visit = opens.open(Buffer.from(how))
    visit.write(Buffer.alloc(1_000, 0xff))
    const accepted = await within(ends.visit(), 'a visit before')
    await within(accepted.peek(1_000, 30_000), 'its bytes')
    accepted.write(Buffer.alloc(1_000, 0xee))
    visit.destroy(how)
    accepted.destroy()
    await within(freed, 'the lane is free')
  }
}

import type { Contender } from '../lib/contender.ts'
import { hops } from './hops.ts'
import { httpTunnels } from './http.ts'
import { tunnels } from './tunnels.ts'

/** Every contender, in the order of the report. */
export const contenders: readonly Contender[] = [...hops, ...tunnels, ...httpTunnels]

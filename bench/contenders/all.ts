import type { Contender } from '../lib/contender.ts'
import { hops } from './hops.ts'

/** Every contender, in the order of the report. */
export const contenders: readonly Contender[] = [...hops]

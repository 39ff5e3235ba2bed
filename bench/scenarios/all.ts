import type { Scenario } from '../lib/scenario.ts'
import { bulk } from './bulk.ts'
import { connect, proxyConnect } from './connect.ts'
import { echo } from './echo.ts'
import { mixed } from './mixed.ts'

/** Every scenario, in the order of the report. */
export const scenarios: readonly Scenario[] = [bulk, echo, connect, mixed, proxyConnect]

import type { Scenario } from '../lib/scenario.ts'
import { bulk } from './bulk.ts'
import { burst } from './burst.ts'
import { cold } from './cold.ts'
import { connect, proxyConnect } from './connect.ts'
import { echo } from './echo.ts'
import { firstByte } from './first-byte.ts'
import { handover } from './handover.ts'
import { heartbeats } from './heartbeats.ts'
import { http } from './http.ts'
import { idle } from './idle.ts'
import { idleTunnel } from './idle-tunnel.ts'
import { mixed } from './mixed.ts'
import { mtu1500 } from './mtu1500.ts'
import { scaling } from './scaling.ts'
import { tlsStorm } from './storm.ts'
import { tlsBulk, tlsEcho, tlsHandshakes, tlsMixed, tlsTunnel } from './tls.ts'

/** Every scenario, in the order of the report. */
export const scenarios: readonly Scenario[] = [
  bulk,
  echo,
  connect,
  firstByte,
  burst,
  http,
  idle,
  idleTunnel,
  mixed,
  handover,
  proxyConnect,
  mtu1500,
  tlsTunnel,
  tlsBulk,
  tlsEcho,
  tlsHandshakes,
  tlsMixed,
  tlsStorm,
  heartbeats,
  cold,
  scaling,
]

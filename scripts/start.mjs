/** `npm start`: from nothing to a tunnel on loopback; with `--check` it tries the tunnel out and ends. */
import { parseArgs } from 'node:util'
import { buildAddon, reportAddon } from './lib/addon.mjs'
import { describeDataPlane } from './lib/doctor.mjs'
import { installDependencies } from './lib/install.mjs'
import { certificate, startLoopback, stateFolder } from './lib/loopback.mjs'
import { Failure, main, say } from './lib/project.mjs'
import { Stopper } from './lib/stopper.mjs'
import { buildTypeScript } from './lib/typescript.mjs'
import { mebibytes, pathOf, visit } from './lib/visit.mjs'

/** @typedef {import('./lib/visit.mjs').Visit} Visit */
/** @typedef {import('./lib/loopback.mjs').Tunnel} Tunnel */

const usage = `usage: npm start [-- --check]

Installs and builds what is missing, starts a relay, a sample service and agents on free loopback ports, prints the
public addresses, and runs until Ctrl-C. State (a token, the relay's certificate, logs) is kept in ${stateFolder}/.

  --check   sends real requests through each tunnel, prints what came of them, and exits 0 or 1
  --help    prints this

MILLRACE_DATAPLANE=native|copy|splice|stream selects the data plane, MILLRACE_WORKERS=1…64 its threads.`

/** Enough for a direction to count as streaming, so that the paths shown are those of a busy tunnel. */
const tasteBytes = 8 << 20
const checkBytes = 64 << 20

main(async () => {
  const options = readArguments()
  if (options.help) {
    say(usage)
    return 0
  }
  const stopper = new Stopper()
  try {
    return await runLoopback(stopper, options.check === true)
  } catch (error) {
    // Whatever was cut short by Ctrl-C failed for that reason.
    if (stopper.asked) return 0
    throw error
  } finally {
    await stopper.stop()
  }
})

/**
 * @param {Stopper} stopper
 * @param {boolean} check
 */
async function runLoopback(stopper, check) {
  await installDependencies()
  await buildTypeScript()
  reportAddon(await buildAddon())
  const dataPlane = await describeDataPlane()
  const loopback = await Promise.race([startLoopback((child) => stopper.add(child)), stopper.stopped])
  if (loopback === undefined) return 0
  say(`data plane: ${dataPlane.text}`)
  for (const tunnel of loopback.tunnels) {
    const seen = await Promise.race([visit(loopback, tunnel, check ? checkBytes : tasteBytes), stopper.stopped])
    if (seen === undefined) return 0
    show(seen)
    if (check) demandSplice(seen, dataPlane.splices)
  }
  if (check) {
    say('check: passed')
    return 0
  }
  advise(loopback.tunnels)
  await stopper.stopped
  say('stopping')
  return 0
}

function readArguments() {
  try {
    const { values } = parseArgs({ options: { check: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } } })
    return values
  } catch (error) {
    throw new Failure(`${error instanceof Error ? error.message : String(error)}\n\n${usage}`)
  }
}

/** @param {Visit} seen */
function show({ tunnel, what, relay, agent }) {
  say(`${tunnel.address}  (agent to relay: ${tunnel.plain ? 'plain' : 'TLS'})`)
  say(`  ${what}`)
  say(`  paths: relay ${pathOf(relay)}; agent ${pathOf(agent)}`)
}

/**
 * On the native data plane a plain tunnel must have been spliced, or the check proves nothing.
 * @param {Visit} seen
 * @param {boolean} splices
 */
function demandSplice({ tunnel, relay, agent }, splices) {
  if (!tunnel.plain) return
  const [least, ends] = [Math.min(relay.spliced, agent.spliced), `relay ${relay.spliced}, agent ${agent.spliced}`]
  if (!splices) {
    say(`  spliced: nothing, as this data plane does not splice (${ends})`)
    return
  }
  if (least === 0)
    throw new Failure(`${tunnel.address}: a plain tunnel on the native data plane was not spliced (${ends})`)
  say(`  spliced: ${ends} bytes of ${mebibytes(2 * checkBytes)} each`)
}

/** @param {readonly Tunnel[]} tunnels */
function advise(tunnels) {
  const [http, https, , tcp] = tunnels
  if (http === undefined || https === undefined || tcp === undefined) return
  say(`
Try it:
  curl ${http.url.href}
  curl -H 'Host: ${http.url.host}' http://127.0.0.1:${http.url.port}/     where that name does not resolve
  curl --cacert ${certificate} ${https.url.href}
  echo hello | curl -s -m 1 telnet://127.0.0.1:${tcp.url.port}     an echo over TCP

Token, certificate and logs are in ${stateFolder}/. Stop with Ctrl-C.`)
}

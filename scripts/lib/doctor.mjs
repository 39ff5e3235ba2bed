/** What `millrace doctor` says of the data plane. */
import { join } from 'node:path'
import { Failure, root, run } from './project.mjs'

/**
 * @typedef {object} DataPlaneReport
 * @property {'native' | 'stream'} kind
 * @property {string} text one line
 * @property {boolean} splices whether a plain tunnel that streams must be spliced
 */

/** @returns {Promise<DataPlaneReport>} of the compiled checkout under the present environment */
export async function describeDataPlane() {
  const { code, output } = await run(process.execPath, [join(root, 'dist/cli/main.js'), 'doctor', '--json'], {
    capture: true,
  })
  try {
    return /** @type {DataPlaneReport} */ (JSON.parse(output))
  } catch {
    throw new Failure(`millrace doctor --json failed (exit code ${code}):\n${output}`)
  }
}

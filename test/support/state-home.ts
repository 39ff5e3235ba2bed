import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const folder = mkdtempSync(join(tmpdir(), 'millrace-state-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))

/** The environment that keeps the state and the settings of millrace processes apart from the user's and from other tests'. */
export const stateHome: Readonly<Record<string, string>> = { XDG_STATE_HOME: folder, XDG_CONFIG_HOME: folder }

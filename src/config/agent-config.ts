import { stat } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, isAbsolute, join, resolve } from 'node:path'
import { MillraceError } from '../errors.ts'
import type { AgentFile, AgentFileTunnel } from './agent-schema.ts'

/** `$XDG_CONFIG_HOME/millrace/agent.yml`, or `~/.config/millrace/agent.yml` (XDG base directory specification). */
export function defaultAgentFile(env: NodeJS.ProcessEnv = process.env): string {
  const base = env['XDG_CONFIG_HOME']
  // The specification says that relative paths are to be ignored.
  const folder = base !== undefined && isAbsolute(base) ? base : join(homedir(), '.config')
  return join(folder, 'millrace', 'agent.yml')
}

/**
 * Reads the agent's config file; paths in it are relative to it. Undefined when none is named and there is no default
 * one. Rejects with ERR_CONFIG, also for a file with secrets that others may read.
 */
export async function agentConfig(
  named: string | undefined,
): Promise<{ readonly file: string; readonly given: AgentFile } | undefined> {
  const file = resolve(named ?? defaultAgentFile())
  const mode = (await stat(file).catch(() => undefined))?.mode
  if (mode === undefined && named === undefined) return undefined
  // Loaded only when there is a file: the two libraries take longer than the rest of the start.
  const [{ loadConfig }, { agentSchema }] = await Promise.all([import('./load.ts'), import('./agent-schema.ts')])
  const given = await loadConfig(file, agentSchema)
  if (mode !== undefined && (mode & 0o077) !== 0 && hasSecret(given)) {
    throw new MillraceError('ERR_CONFIG', `${file} holds a secret and others may read it: chmod 600 ${file}`)
  }
  return { file, given: resolvePaths(dirname(file), given) }
}

function hasSecret({ token, proxy, tunnels = {} }: AgentFile): boolean {
  const credentials = proxy?.includes('@') === true
  return token !== undefined || credentials || Object.values(tunnels).some(({ auth }) => auth !== undefined)
}

function resolvePaths(folder: string, given: AgentFile): AgentFile {
  const { tunnels } = given
  return {
    ...withPaths(folder, given, ['ca', 'token_file']),
    ...(tunnels === undefined
      ? {}
      : {
          tunnels: Object.fromEntries(
            Object.entries(tunnels).map(([name, tunnel]): [string, AgentFileTunnel] => [
              name,
              withPaths(folder, tunnel, ['crt', 'key', 'target_ca']),
            ]),
          ),
        }),
  }
}

function withPaths<T extends object>(folder: string, given: T, keys: readonly (keyof T)[]): T {
  const paths: Partial<Record<keyof T, string>> = {}
  for (const key of keys) {
    const path = given[key]
    if (typeof path === 'string') paths[key] = resolve(folder, path)
  }
  return { ...given, ...paths }
}

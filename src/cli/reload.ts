import type { Command } from 'commander'

interface PlaceFlags {
  readonly config?: string
  readonly stateDir?: string
}

/** `millrace reload` and `millrace status`, which talk with the relay that runs here. */
export function register(program: Command): void {
  for (const [name, about] of [
    ['reload', 'has a running relay read its settings again, and says what that changed'],
    ['status', 'says what a running relay does now'],
  ] as const) {
    program
      .command(name)
      .description(about)
      .option('--config <file>', "the relay's config file, which says where its state is")
      .option('--state-dir <dir>', "the relay's state directory")
      .action(async (flags: PlaceFlags) => {
        const { runReload, runStatus } = await import('./reload-run.ts')
        await (name === 'reload' ? runReload : runStatus)(flags.config, flags.stateDir)
      })
  }
}

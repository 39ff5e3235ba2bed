/** `npm run build:addon`: builds the addon only; unlike `npm run build` it fails when there is no way to. */
import { buildAddon } from './lib/addon.mjs'
import { installDependencies } from './lib/install.mjs'
import { Failure, main, say } from './lib/project.mjs'

main(async () => {
  await installDependencies()
  const { state, detail } = await buildAddon()
  if (state === 'absent' || state === 'failed') throw new Failure(`addon: ${detail}`)
  say(`addon: ${detail}`)
  return 0
})

/** `npm run build`: sets up the checkout. Afterwards the file named by bin.millrace runs. Does only what is needed. */
import { buildAddon, reportAddon } from './lib/addon.mjs'
import { installDependencies } from './lib/install.mjs'
import { main } from './lib/project.mjs'
import { buildTypeScript } from './lib/typescript.mjs'

main(async () => {
  await installDependencies()
  await buildTypeScript()
  reportAddon(await buildAddon())
  return 0
})

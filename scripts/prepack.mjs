/** Before `npm pack`: builds, and puts the addon where the package carries it, for this platform. */
import { copyFileSync, existsSync, mkdirSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { buildAddon, reportAddon } from './lib/addon.mjs'
import { installDependencies } from './lib/install.mjs'
import { main, root, say } from './lib/project.mjs'
import { buildTypeScript } from './lib/typescript.mjs'

main(async () => {
  await installDependencies()
  await buildTypeScript()
  reportAddon(await buildAddon())
  const built = join(root, 'build/Release/millrace.node')
  const carried = join(root, `prebuilds/${process.platform}-${process.arch}/millrace.node`)
  rmSync(carried, { force: true })
  if (!existsSync(built)) return 0
  mkdirSync(dirname(carried), { recursive: true })
  copyFileSync(built, carried)
  say(`package: carries the addon for ${process.platform}-${process.arch}`)
  return 0
})

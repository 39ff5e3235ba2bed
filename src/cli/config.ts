import { Argument, type Command, Option } from 'commander'

/** `millrace config check|schema|import`. */
export function register(program: Command): void {
  const config = program.command('config').description('checks, describes and imports config files')
  config
    .command('check')
    .description("checks a config file; the agent's without FILE")
    .argument('[file]')
    .addOption(new Option('--for <whom>', 'whose file it is').choices(['agent', 'relay']).default('agent'))
    .action(async (file: string | undefined, flags: { readonly for: 'agent' | 'relay' }) => {
      const { checkConfig } = await import('./config-run.ts')
      await checkConfig(file, flags.for)
    })
  config
    .command('schema')
    .description('prints a JSON Schema of a config file, for editors')
    .addArgument(new Argument('[whom]', 'whose file').choices(['agent', 'relay']).default('agent'))
    .action(async (whom: 'agent' | 'relay') => {
      const { printSchema } = await import('./config-run.ts')
      await printSchema(whom)
    })
  config
    .command('import')
    .description('turns an ngrok 1.x config file into ours; to the standard output without --out')
    .argument('[file]', 'default: ~/.ngrok')
    .option('--out <file>', 'writes a new file, which only its owner may read')
    .action(async (file: string | undefined, flags: { readonly out?: string }) => {
      const { importConfig } = await import('./config-run.ts')
      await importConfig(file, flags.out)
    })
}

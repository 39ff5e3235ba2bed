import type { Command } from 'commander'

/** `millrace login ENROLMENT`. */
export function register(program: Command): void {
  program
    .command('login')
    .description("keeps what `millrace token new --enrol` printed on the relay: its address, its key's pin, a token")
    .argument('<enrolment>', 'millrace://TOKEN@HOST:PORT#sha256=HEX, or - to read it from standard input')
    .option('--proxy <url>', 'reaches the relay through http://[USER:PASSWORD@]HOST:PORT or socks5://…, or "none"')
    .action(async (text: string, flags: { readonly proxy?: string }) => {
      // Other users read command lines in ps; this overwrites ours, as early as we can.
      if (text !== '-') process.title = 'millrace'
      const { runLogin } = await import('./login-run.ts')
      process.exitCode = await runLogin(text, flags)
    })
}

import type { Command } from 'commander'

/** `millrace doctor`. */
export function register(program: Command): void {
  program
    .command('doctor')
    .description('says which data plane runs here and why, and what each missing piece costs')
    .option('--json', 'one JSON object on standard output')
    .action(async ({ json }: { readonly json?: boolean }) => {
      const { examine, renderReport } = await import('./doctor-report.ts')
      const report = examine()
      process.stdout.write(json === true ? `${JSON.stringify(report)}\n` : renderReport(report))
    })
}

import { createHash, randomBytes } from 'node:crypto'
import type { Command } from 'commander'

/** `millrace token new`. */
export function register(program: Command): void {
  program
    .command('token')
    .description('makes tokens, with which agents prove to a relay who they are')
    .command('new')
    .description("prints a new token, and its SHA-256 for the relay's config; it is stored nowhere")
    .action(() => {
      const token = randomBytes(32).toString('base64url')
      const sha256 = createHash('sha256').update(token).digest('hex')
      process.stdout.write(`token: ${token}\nsha256: ${sha256}\n`)
      // Advice is for people, not for scripts that read the two lines.
      if (process.stdout.isTTY) process.stdout.write(advice)
    })
}

const advice = `
The token is for the agent (MILLRACE_TOKEN or --token-file) and is shown only now. The hash is for the relay:
--token-sha256 HASH, or in its config file

tokens:
  - name: laptop
    sha256: HASH
`

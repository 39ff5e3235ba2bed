/** docs/limits.md, made of the tables in src/limits. `npm run docs:limits` writes it; a test fails when it is stale. */
import { agentLimits, fixedAgentLimits } from '../src/limits/agent.ts'
import { fixedLimits } from '../src/limits/fixed.ts'
import { type Limit, type LimitTable, metricOf, snakeCase } from '../src/limits/limit.ts'
import { relayLimits } from '../src/limits/relay.ts'
import { tokenLimits } from '../src/limits/token.ts'
import { refusalMetric } from '../src/observe/refusals.ts'

const anyCode = refusalMetric('unknown').replace('unknown', 'CODE')

const introduction = `# Limits

Made by \`npm run docs:limits\` from the tables in \`src/limits\`; do not edit it by hand.

Everything that a peer can make the other end hold, read or wait for has a bound. What lies beyond it is refused by
the code in the table; [errors.md](errors.md) says what to do about each. An address is an IPv4 address, or an IPv6 /64;
behind a balancer of \`proxy_protocol_from\` it is the visitor's own.

The relay counts refusals by their codes, as \`${anyCode}\`: \`millrace status\` shows those that are
not 0. Each is logged as well (what is a visitor's own fault, and who may not come at all, at \`debug\`), but for each event
and code no more than one line a second: the next one says how many were left out (\`left_out\`), or else a line
\`refusals.more\` does.

Who may come at all is
decided before anything is read: \`allow\` and \`deny\` of the relay, then those of the tunnel ([agent-config.md](agent-config.md)).
`

function row(name: string, limit: Limit): string {
  const { beyond, code, range, unit, value, what } = limit
  const key = range === undefined ? name : `\`${snakeCase(name)}\``
  const bounds = range === undefined ? [] : [`${range[0]} to ${range[1]}`]
  const counted = metricOf(limit) === undefined ? '–' : `\`${code}\``
  return `| ${[key, Number.isFinite(value) ? String(value) : 'none', unit, ...bounds, what, beyond, counted].join(' | ')} |`
}

/** One table. Limits with a range are keys of a config file, the others have names for people. */
function table(limits: LimitTable): string {
  const settable = Object.values(limits).every(({ range }) => range !== undefined)
  const head = settable
    ? ['key', 'default', 'unit', 'range', 'what', 'beyond it', 'code']
    : ['what for', 'value', 'unit', 'what', 'beyond it', 'code']
  const rows = Object.entries(limits).map(([name, limit]) => row(settable ? name : wordsOf(name), limit))
  return [`| ${head.join(' | ')} |`, `|${'---|'.repeat(head.length)}`, ...rows, ''].join('\n')
}

function wordsOf(name: string): string {
  return snakeCase(name).replace(/_ms$/, '').replaceAll('_', ' ')
}

/** The whole page. */
export function limitsPage(): string {
  return [
    introduction,
    '## The relay\n',
    `Keys below \`limits:\` of the relay's config file. A running relay takes a new value over at once (all but \`remembered\`):
it counts for whoever comes from then on.\n`,
    table(relayLimits),
    '## A token\n',
    'Keys of a token in the config or the tokens file: [relay-config.md](relay-config.md#tokens).\n',
    table(tokenLimits),
    '## The relay, fixed\n',
    'Those of the protocol are in [protocol.md](protocol.md) as well.\n',
    table(fixedLimits),
    '## The agent\n',
    "What a relay can make an agent do. Keys below `limits:` of the agent's config file.\n",
    table(agentLimits),
    '## The agent, fixed\n',
    table(fixedAgentLimits),
  ].join('\n')
}

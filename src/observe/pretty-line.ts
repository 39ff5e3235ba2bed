/** Turns one JSON log line into a readable one: `12:00:00.000 info  tunnel.up url=http://a.localhost message`. */
export function prettyLine(json: string): string {
  const { level, time, event, msg, ...fields } = JSON.parse(json) as Record<string, unknown>
  const parts = [clock(time), String(level).padEnd(5), String(event)]
  for (const [name, value] of Object.entries(fields)) parts.push(`${name}=${shown(value)}`)
  if (typeof msg === 'string' && msg !== '') parts.push(`· ${msg}`)
  return `${parts.join(' ')}\n`
}

function clock(time: unknown): string {
  const date = new Date(String(time))
  const two = (n: number) => String(n).padStart(2, '0')
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${String(date.getMilliseconds()).padStart(3, '0')}`
}

// What a peer chose may hold terminal escapes: anything but plain characters is quoted, as JSON has it.
const plain = /^[\x21\x23-\x5b\x5d-\x7e]+$/

function shown(value: unknown): string {
  if (typeof value !== 'string') return JSON.stringify(value)
  // JSON leaves DEL, C1 controls and bidirectional marks as they are; a terminal obeys some of them.
  return plain.test(value) ? value : JSON.stringify(value).replace(/[^\x20-\x7e]/gu, escaped)
}

function escaped(character: string): string {
  return `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`
}

/**
 * True when a host name fits a pattern, label by label: `*` stands for any characters of one label, also for none, and a
 * leading `**.` for one label or more. Both are lower case. Takes no more steps than the product of their lengths.
 */
export function fitsGlob(pattern: string, host: string): boolean {
  const labels = host.split('.')
  if (pattern.startsWith('**.')) {
    const wanted = pattern.slice(3).split('.')
    return labels.length > wanted.length && fits(wanted, labels.slice(labels.length - wanted.length))
  }
  return fits(pattern.split('.'), labels)
}

function fits(patterns: readonly string[], labels: readonly string[]): boolean {
  return (
    patterns.length === labels.length && patterns.every((pattern, index) => fitsLabel(pattern, labels[index] ?? ''))
  )
}

/** Greedy: what lies between two stars is taken where it is found first, which never rules anything out. */
function fitsLabel(pattern: string, label: string): boolean {
  const parts = pattern.split('*')
  const [first = '', ...rest] = parts
  const last = rest.pop()
  if (last === undefined) return pattern === label
  if (!label.startsWith(first) || !label.endsWith(last) || label.length < first.length + last.length) return false
  let at = first.length
  const end = label.length - last.length
  for (const part of rest) {
    const found = label.indexOf(part, at)
    if (found === -1 || found + part.length > end) return false
    at = found + part.length
  }
  return true
}

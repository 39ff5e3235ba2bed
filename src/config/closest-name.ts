/** The name that was most likely meant: the nearest one, when no more than a third of the word is wrong. */
export function closestName(word: string, names: readonly string[]): string | undefined {
  let best: string | undefined
  let least = Math.max(1, Math.floor(word.length / 3)) + 1
  for (const name of names) {
    const distance = editDistance(normal(word), normal(name))
    if (distance >= least) continue
    least = distance
    best = name
  }
  return best
}

/** `remotePort`, `remote-port` and `remote_port` are one word to whoever writes them. */
const normal = (name: string): string => name.toLowerCase().replaceAll(/[-_]/g, '')

/** Insertions, deletions, replacements and swaps of neighbours that lead from one word to the other. */
function editDistance(a: string, b: string): number {
  let beforeLast: readonly number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1]
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      const steps = [(row[j - 1] ?? 0) + 1, (last[j] ?? 0) + 1, (last[j - 1] ?? 0) + (same ? 0 : 1)]
      if (swapped) steps.push((beforeLast[j - 2] ?? 0) + 1)
      row.push(Math.min(...steps))
    }
    beforeLast = last
    last = row
  }
  return last[b.length] ?? 0
}

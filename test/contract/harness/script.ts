import { random } from './pattern.ts'

/** One of the two ends. */
export type End = 'a' | 'b'

/** One step of a script. The player skips a step that makes no sense where it stands, so any subset is a script. */
export type Step =
  | { readonly do: 'send'; readonly who: End; readonly bytes: number; readonly chunk: number }
  | { readonly do: 'rest'; readonly ms: number }
  /** The end stops reading: its window closes, as with a small receive buffer. */
  | { readonly do: 'stall'; readonly who: End }
  | { readonly do: 'resume'; readonly who: End }
  /** The other end reads until it has everything that this one sent, its FIN included. */
  | { readonly do: 'receipt'; readonly who: End }
  | { readonly do: 'fin'; readonly who: End }
  | { readonly do: 'reset'; readonly who: End }
  | { readonly do: 'destroy' }

/** The script of a seed: the same for ever, so change nothing here without need. */
export function makeScript(seed: number): readonly Step[] {
  const next = random(seed)
  const pick = (count: number): number => Math.floor(next() * count)
  const steps: Step[] = []
  const length = 3 + pick(14)
  for (let count = 0; count < length; count++) {
    const who: End = next() < 0.5 ? 'a' : 'b'
    const die = next()
    if (die < 0.45) steps.push({ do: 'send', who, bytes: size(next), chunk: 1 + pick(65_536) })
    else if (die < 0.6) steps.push({ do: 'rest', ms: pick(6) })
    else if (die < 0.7) steps.push({ do: 'stall', who })
    else if (die < 0.76) steps.push({ do: 'resume', who })
    else if (die < 0.9) steps.push({ do: 'receipt', who })
    else steps.push({ do: 'fin', who })
  }
  const end = next()
  const who: End = next() < 0.5 ? 'a' : 'b'
  if (end < 0.45) {
    // Half of the cut connections are cut after both ends know that everything has arrived.
    if (next() < 0.5) steps.push({ do: 'receipt', who: 'a' }, { do: 'receipt', who: 'b' })
    steps.push(end < 0.35 ? { do: 'reset', who } : { do: 'destroy' })
  }
  return steps
}

/** A script in one line. */
export function describeScript(steps: readonly Step[]): string {
  return steps
    .map((step) => {
      switch (step.do) {
        case 'send':
          return `${step.who}.send(${step.bytes}/${step.chunk})`
        case 'rest':
          return `rest(${step.ms})`
        case 'destroy':
          return 'destroy()'
        case 'stall':
        case 'resume':
        case 'receipt':
        case 'fin':
        case 'reset':
          return `${step.who}.${step.do}()`
        default:
          return step satisfies never
      }
    })
    .join(' ')
}

function size(next: () => number): number {
  const scale = [1, 200, 5_000, 70_000, 300_000, 3_000_000][Math.floor(next() ** 1.5 * 6)] ?? 1
  return 1 + Math.floor(next() * scale)
}

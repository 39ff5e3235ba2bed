/** Width of a slot in ms: how late a deadline may be. */
const slotMs = 50

/** Something with one deadline at a time on the wheel. */
export interface Timed {
  /** The slot that it waits in; the wheel's own. 0 = none. */
  wheelSlot: number
  /** The deadline has passed. It is off the wheel by then and may be put back. */
  onDue(now: number): void
}

const slots = new Map<number, Set<Timed>>()
let timer: NodeJS.Timeout | undefined
let nextSlot = Number.POSITIVE_INFINITY

/** The wheel's clock: ms, monotonic. */
export function now(): number {
  return performance.now()
}

/**
 * Sets the deadline of `timed`, `ms` from now, at most 50 ms late, in the place of the one it had. One unref'd timer
 * serves them all: deadlines never keep a process alive.
 */
export function setDeadline(timed: Timed, ms: number): void {
  clearDeadline(timed)
  const slot = Math.ceil((now() + Math.max(ms, 0)) / slotMs)
  const members = slots.get(slot)
  if (members === undefined) slots.set(slot, new Set([timed]))
  else members.add(timed)
  timed.wheelSlot = slot
  if (slot < nextSlot) arm(slot)
}

/** Takes the deadline away. */
export function clearDeadline(timed: Timed): void {
  if (timed.wheelSlot === 0) return
  slots.get(timed.wheelSlot)?.delete(timed)
  timed.wheelSlot = 0
}

function arm(slot: number): void {
  clearTimeout(timer)
  nextSlot = slot
  // Node's timers overflow beyond 2^31 ms; an early turn finds nothing due and arms again.
  timer = setTimeout(turn, Math.min(Math.max(slot * slotMs - now(), 1), 2 ** 30)).unref()
}

function turn(): void {
  const time = now()
  nextSlot = Number.POSITIVE_INFINITY
  const due = [...slots.keys()].filter((slot) => slot * slotMs <= time)
  for (const slot of due.sort((a, b) => a - b)) {
    const members = slots.get(slot)
    slots.delete(slot)
    for (const timed of members ?? []) {
      if (timed.wheelSlot !== slot) continue
      timed.wheelSlot = 0
      timed.onDue(time)
    }
  }
  const earliest = Math.min(...slots.keys())
  if (earliest < nextSlot) arm(earliest)
}

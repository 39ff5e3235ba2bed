/**
 * Makes text from elsewhere fit for a log line or an error: whatever isn't printable ASCII becomes `?`, and at most
 * `max` characters stay, with `…` where something was cut. Never use it on secrets.
 */
export function printable(text: string, max = 64): string {
  const shown = text.slice(0, max).replace(/[^\x20-\x7e]/g, '?')
  return text.length > max ? `${shown}…` : shown
}

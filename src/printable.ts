/**
 * Makes text from elsewhere fit for a log line or an error: printable ASCII only (anything else becomes `?`) and at
 * most `max` characters, with `…` where something was cut. Never use it on secrets.
 */
export function printable(text: string, max = 64): string {
  const cut = text.length > max ? `${text.slice(0, max)}…` : text
  return cut.replace(/[^\x20-\x7e…]/g, '?')
}

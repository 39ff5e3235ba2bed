import { basicChallenge } from './basic-auth.ts'
import type { PageStatus } from './refusal.ts'

/** What a page says. Texts are plain; they are escaped here. */
export interface Page {
  readonly status: PageStatus
  /** One sentence: what is wrong. */
  readonly message: string
  /** One sentence: what to do about it. Default none. */
  readonly advice?: string
  /** False for answers to HEAD: the same head, no body. Default true. */
  readonly body?: boolean
  /** Further field lines of the head, without line ends. Default none. */
  readonly fields?: readonly string[]
}

const reasons: Readonly<Record<PageStatus, string>> = {
  308: 'Permanent Redirect',
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  408: 'Request Timeout',
  413: 'Content Too Large',
  414: 'URI Too Long',
  421: 'Misdirected Request',
  431: 'Request Header Fields Too Large',
  500: 'Internal Server Error',
  501: 'Not Implemented',
  502: 'Bad Gateway',
  503: 'Service Unavailable',
  504: 'Gateway Timeout',
  505: 'HTTP Version Not Supported',
}

/** Seconds after which a visitor may try again. */
const retryAfter: Partial<Record<PageStatus, number>> = { 503: 5, 504: 5 }

/** A whole HTTP/1.1 response with a small HTML page: to be written as it is, and then the connection closed. */
export const renderPage = (page: Page): Buffer => {
  const { status } = page
  const body = Buffer.from(html(page), 'utf8')
  const retry = retryAfter[status]
  const head = [
    `HTTP/1.1 ${status} ${reasons[status]}`,
    `Date: ${new Date().toUTCString()}`,
    'Content-Type: text/html; charset=utf-8',
    `Content-Length: ${body.length}`,
    'Cache-Control: no-store',
    'X-Content-Type-Options: nosniff',
    "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'",
    ...(status === 401 ? [`WWW-Authenticate: ${basicChallenge}`] : []),
    ...(retry === undefined ? [] : [`Retry-After: ${retry}`]),
    ...(page.fields ?? []),
    'Connection: close',
    '',
    '',
  ].join('\r\n')
  return page.body === false ? Buffer.from(head) : Buffer.concat([Buffer.from(head), body])
}

/** The agent's answer while the local service can't be reached. `address` is the local one, as the user wrote it. */
export const serviceDownPage = (address: string): Buffer =>
  renderPage({
    status: 502,
    message: `The tunnel is up, but nothing answers at ${address}, the service behind it.`,
    advice: 'Start the service, check that it listens at this address, and reload the page.',
  })

/** The answer that leads to the same place over https: `location` is an absolute URL, and what a request may hold. */
export const redirectPage = (location: string): Page => ({
  status: 308,
  message: `This address is served over https alone: ${location}`,
  fields: [`Location: ${location}`],
})

/** The relay's answer for a host that has no tunnel; `host` is '' when the request named none. */
export const unknownHostPage = (host: string): Page => ({
  status: 404,
  message: host === '' ? 'The request names no host.' : `No tunnel serves ${host}.`,
  advice:
    host === ''
      ? 'Tunnels are found by the Host field: send one.'
      : 'If it is yours, check that its agent is running and that the name is spelled as the agent announced it.',
})

const html = ({ status, message, advice }: Page): string => {
  const title = `${status} ${reasons[status]}`
  const lines = [
    '<!doctype html>',
    '<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">',
    `<title>${title}</title>`,
    '<style>body{font:1rem/1.5 system-ui,sans-serif;max-width:36rem;margin:15vh auto;padding:0 1rem;color:#222;background:#fff}',
    'h1{font-size:1.25rem}p{overflow-wrap:anywhere}footer{color:#767676;font-size:.875rem}</style>',
    `<h1>${title}</h1>`,
    `<p>${escapeHtml(message)}</p>`,
    ...(advice === undefined ? [] : [`<p>${escapeHtml(advice)}</p>`]),
    '<footer>millrace</footer>',
    '</html>',
    '',
  ]
  return lines.join('\n')
}

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

const escapeHtml = (text: string): string => text.replace(/[&<>"']/g, (character) => entities[character] ?? '')

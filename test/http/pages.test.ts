import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pageTexts } from '../../src/http/page-texts.ts'
import { renderPage, serviceDownPage, unknownHostPage } from '../../src/http/pages.ts'

const split = (page: Buffer): { readonly lines: readonly string[]; readonly body: string } => {
  const text = page.toString('utf8')
  const end = text.indexOf('\r\n\r\n')
  assert.ok(end > 0)
  const head = text.slice(0, end)
  assert.doesNotMatch(head.replaceAll('\r\n', ''), /[\r\n]/)
  return { lines: head.split('\r\n'), body: text.slice(end + 4) }
}

test('a page is a whole response that closes the connection', () => {
  for (const text of Object.values(pageTexts)) {
    const { lines, body } = split(renderPage(text))
    assert.match(lines[0] ?? '', new RegExp(`^HTTP/1\\.1 ${text.status} [A-Z]`))
    assert.ok(lines.includes(`Content-Length: ${Buffer.byteLength(body)}`))
    assert.ok(lines.includes('Connection: close'))
    assert.ok(lines.includes('X-Content-Type-Options: nosniff'))
    assert.ok(body.includes(text.message))
  }
})

test('HEAD gets the same head and no body', () => {
  const page = unknownHostPage('a.example')
  const head = split(renderPage({ ...page, body: false }))
  assert.equal(head.body, '')
  const without = (lines: readonly string[]) => lines.filter((line) => !line.startsWith('Date:'))
  assert.deepEqual(without(head.lines), without(split(renderPage(page)).lines))
})

test('a 401 asks for credentials, a 503 names a time', () => {
  const has = (page: Buffer, start: string) => split(page).lines.some((line) => line.startsWith(start))
  assert.ok(has(renderPage(pageTexts.credentialsWanted), 'WWW-Authenticate: Basic realm="'))
  assert.ok(has(renderPage(pageTexts.frontFull), 'Retry-After: '))
  assert.ok(!has(renderPage(pageTexts.agentGone), 'Retry-After: '))
})

test('what others chose is escaped', () => {
  const { body } = split(renderPage(unknownHostPage(`<a href="x">&'`)))
  assert.ok(body.includes('No tunnel serves &lt;a href=&quot;x&quot;&gt;&amp;&#39;.'))
})

test("the agent's page names the local address and what to do", () => {
  const { lines, body } = split(serviceDownPage('127.0.0.1:3000'))
  assert.equal(lines[0], 'HTTP/1.1 502 Bad Gateway')
  assert.ok(body.includes('127.0.0.1:3000'))
  assert.ok(body.includes('Start the service'))
})

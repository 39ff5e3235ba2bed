import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { AgentStatus } from '../../src/agent/options.ts'
import { type Canvas, renderStatus, Screen } from '../../src/cli/screen.ts'

const status: AgentStatus = {
  state: 'online',
  lastLoss: '',
  retryInMs: 0,
  relay: 'relay.example.com:4443',
  tunnels: [{ url: 'http://a.example.com', target: 'localhost:80' }],
  failed: [],
  rttMs: 1.26,
  openJoins: 2,
  totalJoins: 7,
}

describe('the status screen', () => {
  it('shows the tunnels, the state and the visitors', () => {
    const text = renderStatus('relay.example.com:4443', status, ['a line']).join('\n')
    for (const part of ['http://a.example.com -> localhost:80', 'online', '1.3 ms', '2 now, 7 so far', 'a line']) {
      assert.ok(text.includes(part), part)
    }
  })

  it('shows which tunnels are refused, and why, beside those that are up', () => {
    const failed = [{ target: 'localhost:22', reason: 'the port is taken' }]
    const text = renderStatus('r:1', { ...status, failed }, []).join('\n')
    assert.match(text, /Tunnel +http:\/\/a\.example\.com/)
    assert.match(text, /Refused +localhost:22: the port is taken/)
  })

  it('says why it is offline and when it tries again', () => {
    const offline: AgentStatus = {
      ...status,
      state: 'waiting',
      lastLoss: 'the relay is gone',
      retryInMs: 2_400,
      tunnels: [],
    }
    assert.match(renderStatus('r:1', offline, []).join('\n'), /offline, trying again in 2 s: the relay is gone/)
  })

  it('draws over itself, within the terminal, and gives it back', () => {
    let written = ''
    const canvas: Canvas = {
      columns: 40,
      rows: 10,
      write: (text) => {
        written += text
        return true
      },
    }
    const screen = new Screen(canvas, 'relay.example.com:4443')
    screen.update(status)
    for (let i = 0; i < 20; i++) screen.addLine(`line ${i} ${'x'.repeat(100)}\n`)
    screen.close()
    const lines = written.split('\n')
    assert.ok(lines.length <= 10, `${lines.length} lines on 10 rows`)
    for (const line of lines) assert.ok(line.replace(/\p{Cc}(?:\[\d*[A-Z])?/gu, '').length < 40, line)
    screen.close()
    screen.addLine('afterwards\n')
    assert.ok(written.endsWith('afterwards\n'))
  })
})

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { defaultLimits, defaultSettings, type RelaySettings } from '../../src/config/relay-settings.ts'
import { mergedSettings, settingsChange } from '../../src/config/settings-change.ts'

const now: RelaySettings = defaultSettings({})

describe('a change of settings', () => {
  it('is none between equal ones', () => {
    assert.deepEqual(settingsChange(now, defaultSettings({})), { live: [], later: [] })
  })

  it('names what counts now and what later, and takes over just that', () => {
    const next: RelaySettings = {
      ...now,
      domain: 'other.example',
      httpAddr: { host: '127.0.0.1', port: 80 },
      hstsSeconds: 5,
      drainTimeoutMs: 1,
      nameGraceMs: 1,
      tcpPorts: { first: 1, last: 2 },
      proxyProtocolFrom: ['10.0.0.0/8'],
      limits: { ...defaultLimits, pool: 7, remembered: 3 },
    }
    const change = settingsChange(now, next)
    assert.deepEqual([...change.live].sort(), [
      'drain_timeout',
      'hsts',
      'limits.pool',
      'name_grace',
      'proxy_protocol_from',
      'tcp_ports',
    ])
    assert.deepEqual([...change.later].sort(), ['domain', 'http_addr', 'limits.remembered'])
    const merged = mergedSettings(now, next)
    assert.deepEqual(settingsChange(merged, next), { live: [], later: change.later.filter(() => true) })
    assert.equal(merged.limits.pool, 7)
    assert.equal(merged.domain, now.domain)
    // What is not said any more is as by default again.
    assert.deepEqual(settingsChange(next, now).live.includes('hsts'), true)
    assert.equal(mergedSettings(next, now).hstsSeconds, undefined)
  })
})

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { allocatedBytes, readCalls } from '../../bench/lib/steps.ts'

describe('what one visitor takes', () => {
  it('reads the system calls of each kind of thread from perf', () => {
    const text = [
      '# started on Mon Nov 23 17:16:31 2026',
      'node-10,5,,syscalls:sys_enter_futex,251514563,100.00,,',
      'millrace-11,7,,syscalls:sys_enter_sendto,251514563,100.00,,',
      'millrace-12,3,,syscalls:sys_enter_sendto,251514563,100.00,,',
      'millrace-12,0,,syscalls:sys_enter_close,251514563,100.00,,',
      'other-99,9,,syscalls:sys_enter_close,251514563,100.00,,',
      'node-10,<not counted>,,syscalls:sys_enter_read,0,100.00,,',
    ].join('\n')
    const roles = new Map([
      [10, 'main'],
      [11, 'worker'],
      [12, 'worker'],
    ] as const)
    const calls = readCalls(text, roles)
    assert.deepEqual(calls.get('main'), new Map([['futex', 5]]))
    assert.deepEqual(calls.get('worker'), new Map([['sendto', 10]]))
  })

  it('sums what the collections of one process say was allocated', () => {
    const text =
      '[7:0x1]  10 ms: pause=1.0 allocated=100 promoted=1\n[8:0x1] 11 ms: allocated=9\n[7:0x1] 12 ms: allocated=50\n'
    assert.equal(allocatedBytes(text, 7), 150)
    assert.equal(allocatedBytes(text, 9), undefined)
  })
})

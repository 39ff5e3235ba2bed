import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { encodeMessage } from '../../src/wire/codec.ts'
import { maxTicketsPerReqProxy, ticketLifeMs } from '../../src/wire/limits.ts'
import { TicketBook } from '../../src/wire/tickets.ts'

describe('TicketBook', () => {
  it('issues 128 bits in hex, never the same twice', () => {
    const book = new TicketBook()
    const tickets = new Set(Array.from({ length: 500 }, () => book.issue()))
    assert.equal(tickets.size, 500)
    for (const ticket of tickets) assert.match(ticket, /^[0-9a-f]{32}$/)
  })

  it('redeems a ticket once', () => {
    const book = new TicketBook()
    const ticket = book.issue()
    assert.equal(book.redeem(ticket), true)
    assert.equal(book.redeem(ticket), false)
  })

  it('redeems in any order', () => {
    const book = new TicketBook()
    const [first, second, third] = [book.issue(), book.issue(), book.issue()]
    for (const ticket of [second, third, first]) assert.equal(book.redeem(ticket), true)
    assert.equal(book.size, 0)
  })

  it('redeems nothing else', () => {
    const book = new TicketBook()
    const ticket = book.issue()
    for (const text of ['', ticket.slice(1), `${ticket} `, ticket.toUpperCase().padEnd(33), '0'.repeat(32), '\0']) {
      assert.equal(book.redeem(text), false)
    }
    assert.equal(book.redeem(ticket), true)
  })

  it('is bound to its session', () => {
    assert.equal(new TicketBook().redeem(new TicketBook().issue()), false)
  })

  it('lets a ticket lapse after its life', () => {
    let now = 1_000
    const book = new TicketBook({ now: () => now })
    const early = book.issue()
    const late = book.issue()
    now += ticketLifeMs - 1
    assert.equal(book.redeem(early), true)
    now += 1
    assert.equal(book.redeem(late), false)
    assert.equal(book.size, 0)
  })

  it('is bounded: in a full book the oldest lapses', () => {
    const book = new TicketBook({ max: 2 })
    const [first, second, third] = [book.issue(), book.issue(), book.issue()]
    assert.equal(book.size, 2)
    assert.deepEqual(
      [first, second, third].map((ticket) => book.redeem(ticket)),
      [false, true, true],
    )
  })

  it('forgets all with its session', () => {
    const book = new TicketBook()
    const ticket = book.issue()
    book.clear()
    assert.equal(book.redeem(ticket), false)
  })

  it('issues as many at once as a ReqProxy may hold, and they fit one record', () => {
    const book = new TicketBook()
    const tickets = Array.from({ length: maxTicketsPerReqProxy }, () => book.issue())
    assert.ok(encodeMessage({ type: 'ReqProxy', Tickets: tickets }).length > 0)
    assert.ok(tickets.every((ticket) => book.redeem(ticket)))
  })
})

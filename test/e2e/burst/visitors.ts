/** Visitors in a process of their own: all connect at once, each says one line and wants its answer. */
import { connect } from 'node:net'

/** What the process is told in its argument, as JSON. */
export interface VisitorsOrder {
  readonly port: number
  readonly count: number
  /** Sent as the Host of a request; '' = a line over TCP, which is to come back. */
  readonly host: string
  /** After so long without an end a visitor has been forgotten, ms. */
  readonly patienceMs: number
}

/** What became of a visitor: its answer's status, an end without an answer, or none at all. */
export type Outcome = 'served' | '503' | '504' | 'reset' | 'closed' | 'forgotten' | 'wrong'

/** One visitor, in the order of their connecting. */
export interface Visit {
  /** The port that it came from. */
  readonly port: number
  readonly outcome: Outcome
  /** From connecting to its end, ms. */
  readonly ms: number
}

function visit({ port, host, patienceMs }: VisitorsOrder, index: number): Promise<Visit> {
  return new Promise((resolve) => {
    const began = performance.now()
    const line = `visitor ${index}\n`
    const socket = connect({ port, host: '127.0.0.1' })
    let from = 0
    let seen = ''
    const end = (outcome: Outcome): void => {
      clearTimeout(timer)
      resolve({ port: from, outcome, ms: performance.now() - began })
      socket.destroy()
    }
    const judge = (): Outcome | undefined => {
      if (host === '') return seen === line ? 'served' : line.startsWith(seen) ? undefined : 'wrong'
      const [head, body] = seen.split('\r\n\r\n', 2)
      const length = Number(/content-length: (\d+)/i.exec(head ?? '')?.[1])
      if (body === undefined || body.length < length) return undefined
      const status = seen.slice(9, 12)
      return status === '200' ? 'served' : status === '503' || status === '504' ? status : 'wrong'
    }
    const timer = setTimeout(() => end('forgotten'), patienceMs)
    socket.setEncoding('latin1')
    socket.on('connect', () => {
      from = socket.localPort ?? 0
      socket.write(host === '' ? line : `GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`)
    })
    socket.on('data', (text: string) => {
      seen += text
      const outcome = judge()
      if (outcome !== undefined) end(outcome)
    })
    socket.on('error', () => end('reset'))
    socket.on('end', () => end('closed'))
  })
}

const order = JSON.parse(process.argv[2] ?? '') as VisitorsOrder
process.on('disconnect', () => process.exit())
// All in one turn: on loopback the kernel queues them in this order.
process.send?.(await Promise.all(Array.from({ length: order.count }, (_, index) => visit(order, index))))

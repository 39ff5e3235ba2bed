/** The load, in a process of its own: a sink that counts (`sink`), or a source of argv[4] bytes to port argv[3]. */
import { connect, createServer } from 'node:net'

const [role, port = '0', bytes = '0'] = process.argv.slice(2)

if (role === 'sink') {
  const server = createServer((socket) => {
    socket.on('error', () => {})
    socket.on('end', () => socket.end())
    socket.resume()
  })
  server.listen(0, '127.0.0.1', () => {
    const address = server.address()
    process.stdout.write(`${typeof address === 'object' && address !== null ? address.port : 0}\n`)
  })
  process.stdin.on('end', () => process.exit(0)).resume()
} else {
  const chunk = Buffer.alloc(1 << 20, 'millrace')
  let left = Number(bytes)
  const socket = connect({ host: '127.0.0.1', port: Number(port) })
  const started = performance.now()
  const pump = (): void => {
    while (left > 0) {
      const length = Math.min(left, chunk.length)
      left -= length
      if (!socket.write(length === chunk.length ? chunk : chunk.subarray(0, length))) return
    }
    socket.end()
  }
  socket.on('connect', pump).on('drain', pump).resume()
  // The sink ends when it has everything.
  socket.on('close', () =>
    process.stdout.write(`${JSON.stringify({ seconds: (performance.now() - started) / 1000 })}\n`),
  )
}

/** Preloaded into the processes that `npm start` runs: ends them when their parent is gone, whatever it died of. */
import process from 'node:process'

process.on('disconnect', () => process.kill(process.pid, 'SIGTERM'))
process.channel?.unref()

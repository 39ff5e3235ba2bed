/**
 * `pages.mjs near|past FOLDER`: becomes an ordinary user, takes nearly all (or one too many) of the pages that the user's
 * pipes may have, pipe(7), and joins. FIFOs count as pipes do; FOLDER is for them. Writes what came of it as JSON, or
 * `skip: REASON`. Run by pages.test.ts.
 */
import { execFileSync } from 'node:child_process'
import { closeSync, constants, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { loadPlane } from './parts.mjs'
import { transfer } from './transfer.mjs'

const [how = '', folder = ''] = process.argv.slice(2)
/** A pipe, and so a FIFO, has 16 pages to begin with. */
const pagesEach = 16
/** Nobody's, and another one in each process: users' pages are counted together. */
const user = 61_000 + (process.pid % 4_000)
const mebibytes = 32

/** @param {string} reason @returns {never} */
function skip(reason) {
  console.log(`skip: ${reason}`)
  process.exit(0)
}

const limit = Number(readFileSync('/proc/sys/fs/pipe-user-pages-soft', 'utf8'))
if (limit === 0) skip('fs.pipe-user-pages-soft = 0: users have no limit here')
const count = Math.floor(limit / pagesEach) + (how === 'past' ? 1 : -4)
const fifos = Array.from({ length: count }, (_, index) => join(folder, `fifo-${index}`))
execFileSync('mkfifo', ['-m', '666', ...fifos])

// Its workers become the user too.
const plane = await loadPlane()
if (process.getuid?.() === 0) {
  try {
    process.setgroups?.([])
    process.setgid?.(user)
    process.setuid?.(user)
  } catch (error) {
    skip(`root can't become user ${user} here: ${String(error)}`)
  }
}
const effective = BigInt(`0x${/^CapEff:\s*(\w+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]}`)
/** capabilities(7): CAP_SYS_ADMIN and CAP_SYS_RESOURCE, whose owners have no limit. */
if ((effective & ((1n << 21n) | (1n << 24n))) !== 0n) skip('this user may have as many pipes as it likes')

/** @type {number[]} */
const open = []
for (const fifo of fifos) {
  try {
    open.push(openSync(fifo, constants.O_RDWR | constants.O_NONBLOCK))
  } catch (error) {
    skip(`${count} descriptors are needed: ${String(error)}`)
  }
}
const results = await Promise.all(Array.from({ length: 4 }, () => transfer(plane, mebibytes)))
const limited = plane.stats()
for (const fd of open) closeSync(fd)
const again = await transfer(plane, mebibytes)
console.log(
  JSON.stringify({
    uid: process.getuid?.(),
    spliced: results.map(({ spliced }) => Number(spliced.aToB + spliced.bToA)),
    fallbacks: limited.spliceFallbacks,
    pipes: limited.pipes,
    splicedAgain: Number(again.spliced.aToB + again.spliced.bToA),
  }),
)

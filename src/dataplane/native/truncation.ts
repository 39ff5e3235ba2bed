import { closeSync, fstatSync, openSync, readSync } from 'node:fs'

/** The fields of Elf64_Ehdr, elf(5), that say where the section headers are: the last thing that linkers write. */
const headerBytes = 64
const sectionsAt = 40
const sectionSizeAt = 58
const sectionCountAt = 60

/**
 * What is wrong with the length of an ELF file; undefined when it has all of its parts, or is no 64-bit little-endian
 * ELF file, which dlopen() refuses in its own words. A file that was cut short must not get there: touching a page that
 * it doesn't have ends the process with SIGBUS. Throws when the file can't be read.
 */
export function truncation(path: string): string | undefined {
  const fd = openSync(path, 'r')
  try {
    const header = Buffer.alloc(headerBytes)
    const read = readSync(fd, header, 0, headerBytes, 0)
    const { size } = fstatSync(fd)
    // EI_CLASS 2 is 64 bits, EI_DATA 1 little-endian.
    if (header.readUInt32BE(0) !== 0x7f454c46 || header[4] !== 2 || header[5] !== 1) return undefined
    const tableAt = header.readBigUInt64LE(sectionsAt)
    const table = header.readUInt16LE(sectionSizeAt) * header.readUInt16LE(sectionCountAt)
    const whole = read < headerBytes ? BigInt(headerBytes) : tableAt + BigInt(table)
    return BigInt(size) < whole ? `it is cut short: ${size} bytes of at least ${whole}` : undefined
  } finally {
    closeSync(fd)
  }
}

import { randomInt } from 'node:crypto'

// No vowels, so that no words form, and nothing that is taken for something else when read aloud or copied by hand.
const letters = 'bcdfghjkmnpqrstvwxz'
const alphabet = `${letters}23456789`
const length = 10

/** A random DNS label for an HTTP tunnel: 10 characters of a CSPRNG, about 47 bits, beginning with a letter. */
export function randomName(): string {
  let name = letters.charAt(randomInt(letters.length))
  while (name.length < length) name += alphabet.charAt(randomInt(alphabet.length))
  return name
}

// Records that no peer would send, in the middle of a connection whose keys the attacker has, or has not.
import { after } from 'node:test'
import { goHome } from './support/hostile.ts'
import { alert, contentType, headerBytes, maxPlaintext, record } from './support/records.ts'
import { register } from './support/strike.ts'

after(goHome)

register({
  name: 'a byte changed on its way',
  becomes: 'refused',
  strike: async ({ attack, data }) => {
    const sealed = data('changed')
    sealed.writeUInt8(sealed.readUInt8(headerBytes + 9) ^ 1, headerBytes + 9)
    await attack.wire.inject(sealed)
  },
})

register({
  name: 'a byte of the header changed on its way',
  becomes: 'refused',
  strike: async ({ attack, data }) => {
    const sealed = data('changed')
    sealed.writeUInt8(2, 1)
    await attack.wire.inject(sealed)
  },
})

register({
  name: 'a record that comes twice',
  becomes: 'refused',
  strike: async ({ attack, data }) => {
    const sealed = data('once. ')
    await attack.wire.inject(Buffer.concat([sealed, sealed]))
    return 'once. '
  },
})

register({
  name: 'a record that is missing',
  becomes: 'refused',
  strike: async ({ attack, data }) => {
    data('kept')
    await attack.wire.inject(data('sent'))
  },
})

register({
  name: 'two records in the wrong order',
  becomes: 'refused',
  strike: async ({ attack, data }) => {
    const [one, two] = [data('one'), data('two')]
    await attack.wire.inject(two, one)
  },
})

register({
  name: 'bytes cut out of a record',
  becomes: 'refused',
  strike: async ({ attack, data }) => {
    const sealed = data('some bytes of this will be missing')
    await attack.wire.inject(sealed.subarray(0, 20), sealed.subarray(23))
  },
})

register({
  name: 'a record longer than any may be',
  becomes: 'refused',
  strike: ({ attack, sealer }) => attack.wire.inject(record(contentType.data, Buffer.alloc(sealer.maxBody + 1))),
})

register({
  name: 'a record that claims 65 535 bytes',
  becomes: 'refused',
  strike: ({ attack }) => attack.wire.inject(record(contentType.data, Buffer.alloc(100), 65_535)),
})

register({
  name: 'a sealed record with a byte more than 16 KiB in it',
  becomes: 'refused',
  strike: ({ attack, data }) => attack.wire.inject(data(Buffer.alloc(maxPlaintext + 1, 'x'))),
})

register({
  name: 'a record too short for its seal',
  becomes: 'refused',
  strike: ({ attack }) => attack.wire.inject(record(contentType.data, Buffer.alloc(7))),
})

register({
  name: 'an empty record in the clear',
  becomes: 'refused',
  strike: ({ attack }) => attack.wire.inject(record(contentType.data, Buffer.alloc(0))),
})

for (const [name, type] of [
  ['a heartbeat', contentType.heartbeat],
  ['a record of a type that there is not', 99],
] as const) {
  register({
    name,
    becomes: 'refused',
    strike: ({ attack }) => attack.wire.inject(record(type, Buffer.from([1, 0, 16, 1, 2, 3]))),
  })
  register({
    name: `${name}, sealed`,
    becomes: 'refused',
    strike: ({ attack, sealer }) => attack.wire.inject(sealer.seal(type, Buffer.from([1, 0, 16, 1, 2, 3]))),
  })
}

register({
  name: 'a sealed record without a type in it',
  versions: ['TLSv1.3'],
  becomes: 'refused',
  strike: ({ attack, sealer }) => attack.wire.inject(sealer.seal(0, Buffer.alloc(50))),
})

register({
  name: 'ChangeCipherSpec in the clear',
  becomes: 'refused',
  strike: ({ attack }) => attack.wire.inject(record(contentType.changeCipherSpec, Buffer.of(1))),
})

register({
  name: 'ChangeCipherSpec, sealed',
  becomes: 'refused',
  strike: ({ attack, sealer }) => attack.wire.inject(sealer.seal(contentType.changeCipherSpec, Buffer.of(1))),
})

register({
  name: 'a fatal alert in the clear, which anybody on the way could send',
  becomes: 'refused',
  strike: ({ attack }) => attack.wire.inject(record(contentType.alert, alert(2, 40))),
})

register({
  name: 'close_notify in the clear, which would pass for a clean end',
  becomes: 'refused',
  strike: ({ attack }) => attack.wire.inject(record(contentType.alert, alert(1, 0))),
})

register({
  name: 'plaintext in place of ciphertext',
  becomes: 'refused',
  strike: ({ attack }) => attack.wire.inject(Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')),
})

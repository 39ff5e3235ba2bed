// Sealed with the right keys, and yet out of place, or far too many.
import { after } from 'node:test'
import { helloMessage } from './support/hello.ts'
import { goHome } from './support/hostile.ts'
import { alert, contentType, message } from './support/records.ts'
import { register, type Striker } from './support/strike.ts'

after(goHome)

const type = {
  helloRequest: 0,
  clientHello: 1,
  serverHello: 2,
  newSessionTicket: 4,
  certificate: 11,
  certificateRequest: 13,
  finished: 20,
  keyUpdate: 24,
} as const

/** Sends one handshake message, sealed. */
async function says({ attack, sealer }: Striker, bytes: Uint8Array): Promise<void> {
  await attack.wire.inject(sealer.seal(contentType.handshake, bytes))
}

register({
  name: 'a fatal alert, sealed',
  becomes: 'refused',
  strike: ({ attack, sealer }) => attack.wire.inject(sealer.seal(contentType.alert, alert(2, 40))),
})

register({
  name: 'an alert of three bytes',
  becomes: 'refused',
  strike: ({ attack, sealer }) => attack.wire.inject(sealer.seal(contentType.alert, Buffer.from([1, 90, 0]))),
})

register({
  name: 'a warning',
  becomes: 'borne',
  strike: ({ attack, sealer }) => attack.wire.inject(sealer.seal(contentType.alert, alert(1, 90))),
})

register({
  name: 'a client asks for renegotiation',
  versions: ['TLSv1.2'],
  near: ['server'],
  becomes: 'either',
  strike: (striker) => says(striker, helloMessage({ versions: [] })),
})

register({
  name: 'a server asks for renegotiation',
  versions: ['TLSv1.2'],
  near: ['client'],
  becomes: 'borne',
  strike: (striker) => says(striker, message(type.helloRequest)),
})

register({
  name: 'a hello in the middle of the stream',
  versions: ['TLSv1.3'],
  near: ['server'],
  becomes: 'refused',
  strike: (striker) => says(striker, helloMessage()),
})

for (const [name, kind] of [
  ['ServerHello', type.serverHello],
  ['Finished', type.finished],
] as const) {
  register({
    name: `another ${name}`,
    becomes: 'refused',
    strike: (striker) => says(striker, message(kind, Buffer.alloc(32, 1))),
  })
}

register({
  name: 'a certificate that nobody asked for',
  versions: ['TLSv1.3'],
  near: ['server'],
  becomes: 'refused',
  strike: (striker) => says(striker, message(type.certificate, Buffer.alloc(4))),
})

register({
  name: 'a certificate asked for after the handshake',
  versions: ['TLSv1.3'],
  near: ['client'],
  becomes: 'refused',
  strike: (striker) => says(striker, message(type.certificateRequest, Buffer.from([1, 7, 0, 6, 0, 13, 0, 2, 4, 3]))),
})

register({
  name: 'a ticket from a client',
  versions: ['TLSv1.3'],
  near: ['server'],
  becomes: 'refused',
  strike: (striker) => says(striker, message(type.newSessionTicket, Buffer.alloc(20, 1))),
})

register({
  name: 'a broken ticket',
  versions: ['TLSv1.3'],
  near: ['client'],
  becomes: 'refused',
  strike: (striker) => says(striker, message(type.newSessionTicket, Buffer.alloc(5, 255))),
})

register({
  name: 'a handshake message that claims 16 MiB',
  becomes: 'refused',
  strike: async (striker) => {
    const kind = striker.near === 'server' ? type.clientHello : type.newSessionTicket
    await says(striker, message(striker.version === 'TLSv1.3' ? type.keyUpdate : kind, Buffer.alloc(16_000), 0xffffff))
    for (let count = 0; count < 20; count++) await says(striker, Buffer.alloc(16_000))
  },
})

register({
  name: 'new keys',
  versions: ['TLSv1.3'],
  becomes: 'borne',
  strike: async (striker) => {
    for (const request of [0, 1]) {
      await says(striker, message(type.keyUpdate, Buffer.of(request)))
      striker.keys().nextKeys()
    }
  },
})

register({
  name: 'new keys with every record',
  versions: ['TLSv1.3'],
  becomes: 'borne',
  strike: async (striker) => {
    let delivered = ''
    for (let count = 0; count < 200; count++) {
      await says(striker, message(type.keyUpdate, Buffer.of(1)))
      striker.keys().nextKeys()
      await striker.attack.wire.inject(striker.data('with new keys. '))
      delivered += 'with new keys. '
    }
    return delivered
  },
})

register({
  name: 'new keys, but not used',
  versions: ['TLSv1.3'],
  becomes: 'refused',
  strike: (striker) => says(striker, message(type.keyUpdate, Buffer.of(0))),
})

for (const [name, content] of [
  ['a key update with an unknown wish', Buffer.of(2)],
  ['a key update that is too long', Buffer.from([0, 0])],
  ['an empty key update', Buffer.alloc(0)],
] as const) {
  register({
    name,
    versions: ['TLSv1.3'],
    becomes: 'refused',
    strike: (striker) => says(striker, message(type.keyUpdate, content)),
  })
}

register({
  name: 'two key updates in one record',
  versions: ['TLSv1.3'],
  becomes: 'refused',
  strike: async (striker) => {
    const update = message(type.keyUpdate, Buffer.of(0))
    await says(striker, Buffer.concat([update, update]))
  },
})

register({
  name: 'data inside a handshake message',
  versions: ['TLSv1.3'],
  becomes: 'refused',
  strike: async (striker) => {
    await says(striker, message(type.keyUpdate, Buffer.alloc(0), 1))
    await striker.attack.wire.inject(striker.data('between'))
    await says(striker, Buffer.of(0))
  },
})

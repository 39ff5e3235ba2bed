// Far too many records that are well sealed, and in their place, and carry nothing.
import { after } from 'node:test'
import { helloMessage, vector } from './support/hello.ts'
import { goHome } from './support/hostile.ts'
import { alert, contentType, message } from './support/records.ts'
import { register } from './support/strike.ts'

after(goHome)

const type = { helloRequest: 0, newSessionTicket: 4, keyUpdate: 24 } as const
const manyTimes = 1_000

register({
  name: 'a flood of warnings',
  becomes: 'refused',
  strike: async ({ attack, sealer }) => {
    const flood = Array.from({ length: manyTimes }, () => sealer.seal(contentType.alert, alert(1, 90)))
    await attack.wire.inject(Buffer.concat(flood))
  },
})

register({
  name: 'some empty records of data',
  becomes: 'borne',
  strike: async ({ attack, data }) => {
    for (let count = 0; count < 20; count++) await attack.wire.inject(data(''))
  },
})

register({
  name: 'a flood of empty records of data',
  becomes: 'refused',
  strike: async ({ attack, data }) => {
    await attack.wire.inject(Buffer.concat(Array.from({ length: manyTimes }, () => data(''))))
  },
})

register({
  name: 'a flood of requests for renegotiation',
  versions: ['TLSv1.2'],
  becomes: 'either',
  strike: async ({ attack, sealer, near }) => {
    const request = near === 'server' ? helloMessage({ versions: [] }) : message(type.helloRequest)
    const flood = Array.from({ length: manyTimes }, () => sealer.seal(contentType.handshake, request))
    await attack.wire.inject(Buffer.concat(flood))
  },
})

register({
  // Each costs its sender a record, and us two derivations and a record to be sent and kept.
  name: 'a storm of key updates, each of which asks for one of ours',
  versions: ['TLSv1.3'],
  becomes: 'either',
  strike: async (striker) => {
    const storm: Buffer[] = []
    for (let count = 0; count < manyTimes; count++) {
      storm.push(striker.sealer.seal(contentType.handshake, message(type.keyUpdate, Buffer.of(1))))
      striker.keys().nextKeys()
    }
    await striker.attack.wire.inject(Buffer.concat(storm))
  },
})

register({
  name: 'a flood of tickets',
  versions: ['TLSv1.3'],
  near: ['client'],
  becomes: 'either',
  strike: async ({ attack, sealer }) => {
    const ticket = Buffer.concat([
      Buffer.alloc(8, 1),
      vector(1, Buffer.of(1)),
      vector(2, Buffer.alloc(64, 1)),
      vector(2),
    ])
    const flood = Array.from({ length: manyTimes }, () =>
      sealer.seal(contentType.handshake, message(type.newSessionTicket, ticket)),
    )
    await attack.wire.inject(Buffer.concat(flood))
  },
})

import { maxExtensions, maxNameLength, maxNetworks, maxTextLength, maxTicketsPerReqProxy } from './limits.ts'
import type { Message, MessageType } from './messages.ts'

/** What a field may hold. `max` is in characters, for `strings` per item. */
export type FieldSpec =
  | { readonly kind: 'string'; readonly max: number; readonly optional: boolean }
  | { readonly kind: 'uint16'; readonly optional: boolean }
  | { readonly kind: 'time'; readonly optional: true }
  | { readonly kind: 'boolean'; readonly optional: true }
  | { readonly kind: 'strings'; readonly max: number; readonly maxItems: number; readonly optional: true }

/** Ties each spec to the field's type in messages.ts, so that the two can't drift apart. */
type SpecOf<T> = Extract<
  FieldSpec,
  {
    readonly kind: NonNullable<T> extends string
      ? 'string'
      : NonNullable<T> extends number
        ? 'uint16' | 'time'
        : NonNullable<T> extends boolean
          ? 'boolean'
          : 'strings'
  }
> & { readonly optional: undefined extends T ? true : false }

type FieldsOf<M extends Message> = { readonly [K in Exclude<keyof M, 'type'>]-?: SpecOf<M[K]> }

const name = { kind: 'string', max: maxNameLength, optional: false } as const
const text = { kind: 'string', max: maxTextLength, optional: false } as const
const optionalName = { kind: 'string', max: maxNameLength, optional: true } as const
const optionalTime = { kind: 'time', optional: true } as const
const extensionList = { kind: 'strings', max: maxNameLength, maxItems: maxExtensions, optional: true } as const
const networkList = { kind: 'strings', max: maxNameLength, maxItems: maxNetworks, optional: true } as const
const ticketList = { kind: 'strings', max: maxNameLength, maxItems: maxTicketsPerReqProxy, optional: true } as const

const fields: { readonly [T in MessageType]: FieldsOf<Extract<Message, { type: T }>> } = {
  Auth: {
    Version: name,
    MmVersion: name,
    User: name,
    Password: name,
    OS: name,
    Arch: name,
    ClientId: name,
    Extensions: extensionList,
  },
  AuthResp: { Version: name, MmVersion: name, ClientId: name, Error: text, Extensions: extensionList },
  ReqTunnel: {
    ReqId: name,
    Protocol: name,
    Hostname: name,
    Subdomain: name,
    HttpAuth: text,
    RemotePort: { kind: 'uint16', optional: false },
    Encrypt: { kind: 'boolean', optional: true },
    Terminate: { kind: 'boolean', optional: true },
    Allow: networkList,
    Deny: networkList,
  },
  NewTunnel: { ReqId: name, Url: name, Protocol: name, Error: text },
  ReqProxy: { Tickets: ticketList, Plain: { kind: 'boolean', optional: true } },
  RegProxy: { ClientId: name, Ticket: optionalName },
  StartProxy: { Url: name, ClientAddr: name, ServerAddr: optionalName, Proto: optionalName, Id: optionalName },
  Ping: { Time: optionalTime },
  Pong: { Time: optionalTime },
  CloseTunnel: { Url: name },
  TunnelClosed: { Url: name, Reason: text },
  Drain: { Reason: text },
}

/** One field of a message. */
export interface Field {
  readonly name: string
  readonly spec: FieldSpec
  /** What stands before its value on the wire. */
  readonly label: string
  /** For errors: the message's name and its own. */
  readonly path: string
}

/** One message's fields: in the wire's order for the encoder, by name as it is and in lower case for the decoder. */
export interface MessageSchema {
  readonly type: MessageType
  readonly ordered: readonly Field[]
  readonly byName: ReadonlyMap<string, Field>
}

function compile(type: MessageType): MessageSchema {
  const ordered = Object.entries<FieldSpec>(fields[type]).map(
    ([name, spec]): Field => ({ name, spec, label: `"${name}":`, path: `${type}.${name}` }),
  )
  const names = ordered.flatMap((field) => [[field.name, field] as const, [field.name.toLowerCase(), field] as const])
  return { type, ordered, byName: new Map(names) }
}

/** The names of all messages. */
export const messageTypes: readonly MessageType[] = Object.keys(fields) as MessageType[]

const schemas: ReadonlyMap<string, MessageSchema> = new Map(messageTypes.map((type) => [type, compile(type)]))

/** The schema of a message by its wire name, case-sensitive as 1.x has it; undefined for a type that we don't know. */
export function schemaOf(type: string): MessageSchema | undefined {
  return schemas.get(type)
}

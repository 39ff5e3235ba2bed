import { announcedRelease, protocolVersion } from '../wire/limits.ts'
import type { AuthResp, Extension } from '../wire/messages.ts'

/** The yes to an agent's Auth. `extensions` undefined: it is one of 1.x, which must not see the field. */
export function welcome(clientId: string, extensions: readonly Extension[] | undefined): AuthResp {
  return { ...answer(clientId, ''), ...(extensions === undefined ? {} : { Extensions: extensions }) }
}

/** The no, which is final. */
export function refusal(sentence: string): AuthResp {
  return answer('', sentence)
}

function answer(clientId: string, error: string): AuthResp {
  return { type: 'AuthResp', Version: protocolVersion, MmVersion: announcedRelease, ClientId: clientId, Error: error }
}

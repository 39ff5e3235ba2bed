import { MillraceError } from '../errors.ts'
import { pageTexts } from '../http/page-texts.ts'
import { type Page, redirectPage } from '../http/pages.ts'
import type { HttpRequest } from '../http/request.ts'
import type { Detour } from './http-route.ts'

/** What a visitor is told whom a detour concerns. */
export const detourPage = (detour: Detour, { target }: HttpRequest): Page => {
  if (detour.kind === 'misdirected') return pageTexts.misdirected
  if (detour.kind === 'denied') return pageTexts.denied
  return redirectPage(`${detour.origin}${target === '*' ? '/' : target}`)
}

/** Detours that are refusals. */
export const detourErrors: Readonly<Partial<Record<Detour['kind'], MillraceError>>> = {
  denied: new MillraceError('ERR_TUNNEL_DENIED'),
}

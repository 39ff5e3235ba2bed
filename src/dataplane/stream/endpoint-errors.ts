import { MillraceError } from '../../errors.ts'

/** A promise that is rejected with the error of these arguments. */
export function rejected(...error: ConstructorParameters<typeof MillraceError>): Promise<never> {
  return Promise.reject(new MillraceError(...error))
}

/** What awaits a broken connection is rejected with this: ERR_ENDPOINT_RESET, or undefined when it is whole. */
export function resetError(errno: string | undefined): MillraceError | undefined {
  if (errno === undefined) return undefined
  return new MillraceError('ERR_ENDPOINT_RESET', '', { cause: Object.assign(new Error(errno), { code: errno }) })
}

import { MillraceError } from '../errors.ts'

/** The statuses of the answers that millrace itself gives to visitors. */
export type PageStatus = 308 | 400 | 401 | 403 | 404 | 408 | 413 | 414 | 421 | 431 | 500 | 501 | 502 | 503 | 504 | 505

const statuses: Readonly<Record<string, PageStatus>> = {
  ERR_HTTP_SYNTAX: 400,
  ERR_HTTP_FRAMING: 400,
  ERR_HTTP_HOST: 400,
  ERR_HTTP_HEAD_TIMEOUT: 408,
  ERR_HTTP_LENGTH_TOO_LARGE: 413,
  ERR_HTTP_TARGET_TOO_LONG: 414,
  ERR_HTTP_HEAD_TOO_LARGE: 431,
  ERR_HTTP_NOT_IMPLEMENTED: 501,
  ERR_HTTP_VERSION: 505,
}

/** The status with which a request is refused that failed with `error`; undefined when it is no ERR_HTTP_* error. */
export const refusalStatus = (error: unknown): PageStatus | undefined =>
  error instanceof MillraceError ? statuses[error.code] : undefined

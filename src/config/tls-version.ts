import { z } from 'zod'
import type { TlsVersion } from '../dataplane/types.ts'
import { formed } from './parsed.ts'

/** `1.2` or `1.3`, as YAML's number or as text. */
export const tlsVersion = formed(
  { type: 'number' },
  (value) => (typeof value === 'number' ? String(value) : value),
  z.enum(['1.2', '1.3']).transform((version): TlsVersion => `TLSv${version}`),
)

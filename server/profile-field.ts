/** Where in a profile a text stands: what an error tells the person who wrote it. */

import type { Profile } from './request-contract.ts'

/**
 * Path of the first field that holds `text`, such as `work[2].highlights[1]`; first of those under `near`, then under
 * the same part of the profile, then anywhere. A reworded bullet has no field of its own, but its characters do.
 */
export function fieldWith(profile: Profile, text: string, near: string): string | undefined {
  const [part = ''] = near.split(/[.[]/)
  const fields = [...textFields(profile, '')].filter(([, value]) => value.normalize('NFC').includes(text))
  const under = (start: string) => fields.find(([path]) => path.startsWith(start))?.[0]
  return under(near) ?? under(part) ?? fields[0]?.[0]
}

function* textFields(value: unknown, path: string): Generator<[path: string, text: string]> {
  if (typeof value === 'string') yield [path, value]
  else if (Array.isArray(value)) {
    for (const [index, item] of value.entries()) yield* textFields(item, `${path}[${index}]`)
  } else if (typeof value === 'object' && value !== null) {
    for (const [key, item] of Object.entries(value)) yield* textFields(item, path ? `${path}.${key}` : key)
  }
}

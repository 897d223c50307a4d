/**
 * Where in a person's profile a line of LaTeX comes from. A mark is a line of comment before what is printed of a field:
 * TeX does not see it, it goes wherever the text goes, and no second list has to be kept in step.
 */

const MARK = /^%@ ?(.*)$/

/** Goes on a line of its own before the field's text. */
export function fieldMark(path: string): string {
  return `%@ ${path.replace(/\s+/g, ' ')}`
}

/** Goes behind the last field: what follows is the template's again. */
export const END_OF_FIELDS = '%@'

/** Whose a line is (counted from 1), and of which field of the profile. */
export function placeOf(tex: string, line: number): { part: 'template' | 'body'; field?: string } {
  const before = tex.split('\n').slice(0, line)
  const field = before.findLast((text) => MARK.test(text))?.match(MARK)?.[1]
  return field ? { part: 'body', field } : { part: 'template' }
}

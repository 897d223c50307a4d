/** What a model may not do: put a fact into a resume that its owner did not state. */

const NUMBERS = /\d[\d.,]*/g
// A capitalized or all-capitals word, or one with a digit or a mark as in `C#`: names of employers, products, skills.
const NAMES = /[\p{L}\p{N}][\p{L}\p{N}+#.-]*/gu
// Latin letters, digits and the punctuation people type. A model that answers with an emoji or another script would
// otherwise fail the whole run at the font.
const PRINTABLE = /^[\u0020-\u007e\u00a0-\u017f\u2013\u2014\u2018\u2019\u201c\u201d\u2026\u20ac]*$/

const bare = (text: string) => text.normalize('NFKC').toLowerCase()
const withoutTail = (token: string) => token.replace(/[.,-]+$/, '')

/**
 * Whether a rewording states only what its source states: every number stands in the source, every name (a word with
 * a capital letter that does not open a sentence, or with a digit) stands in the source or elsewhere in the profile,
 * and it is not longer than twice the source. A false alarm costs a rewording, a miss costs a person's honesty: so
 * it is strict.
 */
export function statesOnly(rewording: string, source: string, profileText: string): boolean {
  if (rewording.trim() === '' || rewording.length > source.length * 2 + 80 || !PRINTABLE.test(rewording)) return false
  const inSource = new Set((bare(source).match(NUMBERS) ?? []).map(withoutTail))
  for (const number of bare(rewording).match(NUMBERS) ?? []) {
    if (!inSource.has(withoutTail(number))) return false
  }
  const known = new Set((bare(`${source} ${profileText}`).match(NAMES) ?? []).map(withoutTail))
  let opensSentence = true
  for (const match of rewording.matchAll(NAMES)) {
    const token = match[0]
    const isName = /\d/.test(token) || /\p{Lu}/u.test(token.slice(1)) || (/^\p{Lu}/u.test(token) && !opensSentence)
    if (isName && !known.has(withoutTail(bare(token)))) return false
    opensSentence = /[.!?]\s*$/.test(rewording.slice(0, match.index + token.length + 1))
  }
  return true
}

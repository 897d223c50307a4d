/** Text of strangers as it is shown: what would turn the words around it, or not be seen at all, is spelled out. */

/** Controls, and what changes direction, joins or has no width. Lines may end. */
const UNSEEN = /(?![\t\n])[\p{Cc}\p{Cf}\u2028\u2029]/gu

/** At most `max` characters of it. */
export function shown(text: string, max = 500): string {
  const cut = text.length > max ? `${text.slice(0, max).toWellFormed()}… (${text.length} characters)` : text
  return cut.replace(
    UNSEEN,
    (character) => `⟨U+${character.codePointAt(0)?.toString(16).toUpperCase().padStart(4, '0')}⟩`,
  )
}

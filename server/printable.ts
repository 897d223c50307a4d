/** Text as it can stand in a resume: what is removed from what people paste, and what TeX must not take for its own. */

/** Marks that print over any letter and are read back with it. Readers put a space or a line's end before the others. */
const READABLE_MARKS = '\u0300-\u0304\u0306-\u030c\u030f\u0311\u0323\u0326\u032e-\u0332'
const OTHER_MARKS = new RegExp(`(?![${READABLE_MARKS}])\\p{M}`, 'gu')
/** A mark with no letter to stand on, and what is more than two marks on one. */
const LOOSE_MARKS = /(?<=^|[^\p{L}\p{N}\p{M}])\p{M}+|(?<=\p{M}\p{M})\p{M}+/gu

/**
 * Text as one line that prints as itself. What comes back from the PDF is exactly this: NFC, with white space folded,
 * and without
 * - control, zero-width, bidirectional and private characters, which print nothing and may hide something;
 * - pictures: emoji, and what makes one of a letter (no reader of resumes wants them, and no text font has them);
 * - marks that do not compose with their letter, but the twenty that Latin Modern sets over any;
 * - ligatures pasted from another PDF: their letters stand in their place.
 */
export function printable(text: string): string {
  return (
    text
      .normalize('NFC')
      .replace(/[\ufb00-\ufb06]/g, (ligature) => ligature.normalize('NFKC'))
      // Flags and skin tones are emoji too; a keycap is a digit with two marks, which go below.
      .replace(/\p{Emoji_Presentation}\p{Emoji_Modifier}?/gu, '')
      .replace(/\s+/gu, ' ')
      .replace(/[\p{Cc}\p{Cf}\p{Co}\p{Cs}]/gu, '')
      .replace(OTHER_MARKS, '')
      .replace(LOOSE_MARKS, '')
      // Without what stood between them, two spaces or two marks may have met.
      .replace(/ +/g, ' ')
      .normalize('NFC')
      .trim()
  )
}

const ESCAPES: Record<string, string> = {
  '\\': '\\textbackslash{}',
  '{': '\\{',
  '}': '\\}',
  $: '\\$',
  '&': '\\&',
  '#': '\\#',
  '%': '\\%',
  _: '\\_',
  '^': '\\textasciicircum{}',
  '~': '\\textasciitilde{}',
  // Not a person's: `printable` folds theirs. Ours keep parts of a line together.
  '\u00a0': '~',
}

/** LaTeX that prints the text as itself: the ten special characters escaped. */
export function escapeLatex(text: string): string {
  return text.replace(/[\\{}$&#%_^~\u00a0]/g, (character) => ESCAPES[character] ?? '')
}

/** Characters as a reader sees them: a letter and the marks on it are one. */
export function clusters(text: string): string[] {
  return text.match(/\P{M}\p{M}*|\p{M}+/gu) ?? []
}

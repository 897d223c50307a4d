/** Text as it can stand in a resume: what is removed from what people paste, and what TeX must not take for its own. */

/** Marks that print over a letter of the first font and are read back with it; after others readers put a space. */
const READABLE_MARKS = '\u0300-\u0304\u0306-\u030c\u030f\u0311\u0323\u0326\u032e-\u0332'
const OTHER_MARKS = new RegExp(`(?![${READABLE_MARKS}])\\p{M}`, 'gu')
/** All but the first mark on a letter, every mark on something else, and before a letter of another font. */
const LOOSE_MARKS =
  /(?<![A-Za-z\u00c0-\u017f\u1ea0-\u1ef9])\p{M}+|\p{M}+(?![\u0020-\u017f\u1ea0-\u1ef9\u2010-\u2026\p{M}]|$)/gu

/**
 * Text as one line that prints as itself. What comes back from the PDF is exactly this: NFC, with white space folded,
 * and without
 * - control, zero-width, bidirectional and private characters, which print nothing and may hide something;
 * - pictures: emoji, and what makes one of a letter (no reader of resumes wants them, and no text font has them);
 * - marks that do not compose with their letter, but for one of twenty on a letter of Latin Modern's (ẹ́, ė̃);
 * - ligatures pasted from another PDF: their letters stand in their place, and a slash in that of the division slash,
 *   which pdf.js reads back with a space.
 */
export function printable(text: string): string {
  return (
    text
      .normalize('NFC')
      .replaceAll('\u2215', '/')
      .replace(/[\ufb00-\ufb06]/g, (ligature) => ligature.normalize('NFKC'))
      // Flags and skin tones are emoji too; a keycap is a digit with two marks, which go below.
      .replace(/\p{Emoji_Presentation}\p{Emoji_Modifier}?/gu, '')
      .replace(/\s+/gu, ' ')
      .replace(/[\p{Cc}\p{Cf}\p{Co}\p{Cs}]/gu, '')
      .replace(OTHER_MARKS, '')
      .replace(LOOSE_MARKS, '')
      // Without what stood between them, two spaces may have met.
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

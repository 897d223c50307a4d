/** What a model may not do: put a fact into a resume that its owner did not state. */

/** Words that state nothing by themselves. */
const FUNCTION_WORDS = `a about across after all also among an and any are as at be been before being between both but by
  can during each every for from had has have he her his i in including into is it its more most my of on onto or other
  our over own per she so such than that the their them then these they this those through to together under until up
  upon us via was we were when where which while who whose will with within`

/** Words that may stand for one another: what they state is the same. Each line is one meaning. */
const SAME_MEANING = `
  cut reduce reduced lower lowered decrease decreased shorten shortened
  increase increased raise raised grow grew grown
  build built create created develop developed make made write wrote written implement implemented
  run ran operate operated maintain maintained
  introduce introduced launch launched start started establish established
  move moved migrate migrated transfer transferred
  teach taught train trained coach coached
  fix fixed repair repaired resolve resolved
  use used using apply applied
  help helped support supported assist assisted
  show showed shown demonstrate demonstrated
  rewrite rewrote rewritten rework reworked`

const NEGATIONS = new Set(['no', 'not', 'never', 'without', 'none', "didn't", "don't", "wasn't"])

// Latin letters that the resume's font has, digits, and the punctuation people type. A model that answers with an
// emoji or another script would otherwise fail the whole run at the font.
const PRINTABLE =
  /^[\u0020-\u007e\u00a0-\u0137\u0139-\u0148\u014a-\u0165\u0168-\u017f\u2013\u2014\u2018\u2019\u201c\u201d\u2026\u20ac]*$/

// A number with its separators, a percent sign, or a word with the marks of names such as C#, node.js, CI/CD.
const TOKENS = /\d[\d.,]*\d|\d|%|[\p{L}][\p{L}\p{N}+#'’]*(?:[.\-/][\p{L}\p{N}+#]+)*/gu

const tokensOf = (text: string) => text.normalize('NFKC').toLowerCase().replaceAll('’', "'").match(TOKENS) ?? []
const isNumber = (token: string) => /^\d/.test(token)

/** Enough of a stem to see `teams` in `team` and `reducing` in `reduce`. Never longer than the word it is for. */
const stem = (word: string) => (word.length > 4 ? word.replace(/(?:ing|ed|es|s|e)$/, '') : word)

const FREE = new Set(tokensOf(FUNCTION_WORDS).map(stem))
const MEANINGS = new Map<string, Set<string>>()
for (const line of SAME_MEANING.trim().split('\n')) {
  const meaning = new Set(tokensOf(line).map(stem))
  for (const word of meaning) MEANINGS.set(word, meaning)
}

/**
 * Whether a rewording states only what its source states. It may leave things out, reorder them, and put a word in
 * for another of the same meaning. Every other word must stand in the source; every number must, and before the same
 * word, so that figures cannot change places; and a `not` or `without` must stay. Lower case is no way around it.
 *
 * A false alarm costs a rewording, a miss costs a person's honesty: so it is strict.
 */
export function statesOnly(rewording: string, source: string): boolean {
  if (rewording.trim() === '' || rewording.length > source.length * 2 || !PRINTABLE.test(rewording)) return false
  const stated = tokensOf(source)
  const words = new Set(stated.map(stem))
  const figures = new Set(figuresOf(stated))
  const told = tokensOf(rewording)
  const toldWords = new Set<string>(told)
  const known = (token: string) => {
    const word = stem(token)
    return words.has(word) || FREE.has(word) || [...(MEANINGS.get(word) ?? [])].some((other) => words.has(other))
  }
  return (
    told.every((token) => isNumber(token) || token === '%' || known(token)) &&
    figuresOf(told).every((figure) => figures.has(figure)) &&
    stated.every((token) => !NEGATIONS.has(token) || toldWords.has(token))
  )
}

/** Each number with the word that says of what: `40 %`, `12 team`. */
function figuresOf(tokens: readonly string[]): string[] {
  return tokens.flatMap((token, index) => (isNumber(token) ? [`${token} ${stem(tokens[index + 1] ?? '')}`] : []))
}

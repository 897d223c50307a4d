/** The terms a posting asks for, and which of them a text covers. */

/** A term of the posting: how it is compared, and how much it counts (more often named, more weight). */
export interface Keyword {
  term: string
  weight: number
}

/** Terms taken from one posting at most; beyond that they say little about it. */
const MAX_KEYWORDS = 40

// Words that every posting uses. Kept short on purpose: a term that slips through costs a little weight, a term that
// is wrongly dropped costs the person a match.
const COMMON = new Set(
  `a about above across after all also an and any are as at be been being benefits both but by can candidate company
  day do each ensure equal etc every experience for from full get good great had has have help here high how i if in
  including into is it its job join just know like looking make may more most must new no not of offer on one
  opportunity or other our out over own part people per plus position provide range required requirements
  responsibilities role salary should skills so some strong such team than that the their them then there these they
  this those through time to together under up us use using we well were what when where which while who will with
  within without work working world would year years you your`.split(/\s+/),
)

/** Words of a text as they are compared: lower case, with the marks that names such as `C++`, `C#`, `node.js` need. */
export function words(text: string): string[] {
  return (
    text
      .normalize('NFKC')
      .toLowerCase()
      .match(/[\p{L}\p{N}][\p{L}\p{N}+#]*(?:[.\-/][\p{L}\p{N}+#]+)*/gu) ?? []
  )
}

/** The posting's terms, heaviest first; at most {@link MAX_KEYWORDS}. Words of the title count five times. */
export function keywordsOf(posting: { title: string; description: string }): Keyword[] {
  const weights = new Map<string, number>()
  const count = (text: string, weight: number) => {
    for (const word of words(text)) {
      if (word.length < 2 || COMMON.has(word) || /^\d/.test(word)) continue
      weights.set(word, (weights.get(word) ?? 0) + weight)
    }
  }
  count(posting.description, 1)
  count(posting.title, 5)
  return [...weights]
    .map(([term, weight]) => ({ term, weight }))
    .sort((a, b) => b.weight - a.weight || a.term.localeCompare(b.term))
    .slice(0, MAX_KEYWORDS)
}

/** How well a text fits the posting: the summed weight of the terms it holds, each counted once. */
export function score(text: string, keywords: readonly Keyword[]): number {
  const held = new Set(words(text))
  return keywords.reduce((sum, keyword) => sum + (held.has(keyword.term) ? keyword.weight : 0), 0)
}

/** How many of the terms the texts cover together. */
export function countMatched(texts: Iterable<string>, keywords: readonly Keyword[]): number {
  const held = new Set([...texts].flatMap(words))
  return keywords.filter((keyword) => held.has(keyword.term)).length
}

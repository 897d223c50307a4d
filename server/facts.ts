/**
 * What a model may not do: put a fact into a resume that its owner did not state.
 *
 * A rewording is laid out in the phrases of its source, and every word of it must be accounted for. A bag of words
 * would not do: "Helped Anna to lead 12 people" holds all the words of "Lead 12 people".
 */

/** Verbs that may open a phrase in one another's place: each line is one meaning in one form. */
const SAME_MEANING = `
  reduced cut lowered decreased shortened
  reduce cut lower decrease shorten
  reducing cutting lowering decreasing shortening
  created built developed
  create build develop
  creating building developing
  wrote authored
  write author
  writing authoring
  moved migrated
  moving migrating
  fixed repaired resolved
  fix repair resolve
  fixing repairing resolving
  increased grew
  increase grow
  increasing growing
  helped assisted
  help assist
  helping assisting
  showed demonstrated
  rewrote reworked
  ran operated
  run operate
  running operating`

/** Words by which a phrase begins that may be left out or moved. `of`, `to`, `at`, `as` and `from` belong to what they follow. */
const LOOSE = new Set(
  'for with in on using through via across during after before into without within throughout'.split(' '),
)

/** What holds a statement down. A phrase with one of these stays: to leave it out is to say more. */
const RESTRICTING = new Set(
  `no not none never nothing nobody without neither nor hardly barely nearly almost about approximately roughly around up
  under only just partly partially part some except unless if but though although however help helped helping
  assistance assist assisted assisting assistant aid support supported supporting supervision supervised guidance
  mentorship intern internship trainee apprentice apprenticeship junior deputy vice acting interim temporary volunteer
  volunteering unpaid plan planned planning expected anticipated progress ongoing unfinished incomplete unsuccessful
  failed tried attempted candidate pending draft proposed proposal simulated simulation mock hypothetical training
  student school class course courses workshop beginner basic basics elementary former formerly until once week weeks
  month months day days hour hours together jointly shared others simulator test trial pilot prototype demo
  non-production booked scheduled starting upcoming future due exam applied enrolled admitted withdrawn declined offered
  rejected shortlisted nominated runner-up game exercise hobby tutorial bootcamp hackathon fictional theory
  theoretical second-hand alleged`.split(/\s+/),
)

/** After these a full stop ends no sentence. */
const ABBREVIATIONS = new Set(
  'mr mrs ms dr st prof inc ltd co corp no dept asst assoc sr jr approx etc vs dipl ing univ dir mgr'.split(' '),
)

/** More than any bullet; a longer text is not reworded. */
const MAX_WORDS = 400
/** Ways tried to lay a text out in phrases; one that repeats itself for ever has too many. */
const MAX_TRIES = 20_000

interface Word {
  /** As it stands, without the comma or full stop after it. */
  text: string
  /** Its case says nothing: it opens a sentence. */
  opens: boolean
  /** The punctuation after it. */
  after: string
}

/** Items of which each may be left out, in any order, behind their first words: `with` [Bazel] [C#]. */
interface Phrase {
  head: Word[]
  items: Word[][]
}

/** A phrase that stays where it is, and those that hang on it. */
interface Group {
  lead: Word[]
  hanging: Phrase[]
}

const MEANINGS = new Map<string, Set<string>>()
for (const line of SAME_MEANING.trim().split('\n')) {
  const meaning = line.trim().split(' ')
  for (const word of meaning) MEANINGS.set(word, new Set([...(MEANINGS.get(word) ?? []), ...meaning]))
}

/**
 * What speaks against printing the rewording in place of its source, for whoever wrote it; undefined when it states
 * only what its source states. It may leave out phrases that begin with a preposition or follow a comma, move those
 * with a preposition within their clause, change the order of a list, leave out sentences, and open with another verb
 * of the same meaning. Everything else stands as it stood: every figure, name and case of letter.
 *
 * A false alarm costs a rewording, a miss costs a person's honesty: so it is strict.
 */
export function objectionTo(rewording: string, source: string): string | undefined {
  const told = wordsOf(rewording)
  const stated = wordsOf(source)
  if (told.length === 0) return 'it is empty'
  if (told.length > MAX_WORDS || stated.length > MAX_WORDS) return 'it is too long'
  const strangers = told.filter((word) => !stated.some((own) => same(word, own) || sameMeaning(word, own)))
  if (strangers.length > 0) {
    return `not in the source: ${strangers
      .slice(0, 5)
      .map(({ text }) => JSON.stringify(text.slice(0, 40)))
      .join(', ')}`
  }
  const left = sentencesOf(stated).map(groupsOf)
  const budget = { tries: MAX_TRIES }
  for (const sentence of sentencesOf(told)) {
    const at = left.findIndex((groups) => isLaidOutIn(sentence, groups, budget))
    if (at < 0) return 'words were moved or left out in a way that changes what is stated'
    left.splice(at, 1)
  }
  const unsaid = left.flat().flatMap(wordsIn)
  return unsaid.some(restricts) ? 'a sentence that restricts the others was left out' : undefined
}

/** Words between spaces. Symbols stay with them, so that `$5k`, `C#` and `(intern)` cannot lose theirs. */
function wordsOf(text: string): Word[] {
  const parts = text
    .normalize('NFC')
    .replaceAll('’', "'")
    .replace(/(\d)\s+%/g, '$1%')
    .split(/\s+/)
    .filter(Boolean)
  const words: Word[] = []
  for (const part of parts) {
    const after = /[.,;:]*$/.exec(part)?.[0] ?? ''
    const word = part.slice(0, part.length - after.length)
    const before = words.at(-1)
    const opens = before === undefined || endsSentence(before, word)
    if (word !== '') words.push({ text: word, opens, after })
    else if (before) before.after += after
  }
  // Articles say nothing: they may come and go. An upper-case `A` within a sentence is a grade.
  return words.filter(({ text, opens }) => !/^(a|an|the)$/.test(opens ? text.toLowerCase() : text))
}

function endsSentence(word: Word, next: string): boolean {
  const short = word.text.includes('.') || word.text.length < 2 || ABBREVIATIONS.has(word.text.toLowerCase())
  return word.after.includes('.') && !short && /^[\p{Lu}\d]/u.test(next)
}

function sentencesOf(words: readonly Word[]): Word[][] {
  const sentences: Word[][] = []
  for (const [index, word] of words.entries()) {
    const before = words[index - 1]
    if (before === undefined || endsSentence(before, word.text)) sentences.push([])
    sentences.at(-1)?.push(word)
  }
  return sentences
}

/** A sentence as what stays in order (its opening, and what follows a comma), each with the phrases that hang on it. */
function groupsOf(sentence: readonly Word[]): Group[] {
  const groups: Group[] = [{ lead: [], hanging: [] }]
  let hanging: Word[] | undefined
  let depth = 0
  for (const [index, word] of sentence.entries()) {
    const group = groups.at(-1) as Group
    const before = sentence[index - 1]
    if (index > 0 && depth === 0 && isLoose(word, before, sentence[index + 1])) {
      hanging = [word]
      group.hanging.push({ head: hanging, items: [] })
    } else if (hanging) hanging.push(word)
    else if (depth === 0 && before && /[,;]/.test(before.after) && !isLoose(sentence[0], undefined, sentence[1])) {
      groups.push({ lead: [word], hanging: [] })
    } else group.lead.push(word)
    depth += count(word.text, '(') - count(word.text, ')')
  }
  for (const group of groups) group.hanging = group.hanging.map(({ head }) => listOf(head))
  return groups.map((group) => ({ ...group, lead: withoutAnd(group.lead) }))
}

function isLoose(word: Word | undefined, before: Word | undefined, next: Word | undefined): boolean {
  if (!word || !next) return false
  const lower = word.text.toLowerCase()
  // "by 40 %" may go, "by Anna" and "by 3 managers" may not: what they did would be done by whoever sends the resume.
  if (!LOOSE.has(lower) && !(lower === 'by' && next.text.endsWith('%'))) return false
  if (before && (restricts(before) || LOOSE.has(before.text.toLowerCase()) || before.text === 'or')) return false
  return !next.text.endsWith('ing')
}

/** `with Bazel and C#` as a list; as one piece where its last item could be what the others are of: `sales and IT teams`. */
function listOf(phrase: Word[]): Phrase {
  const words = withoutAnd(phrase)
  const [first, ...rest] = words
  const items: Word[][] = [[]]
  for (const [index, word] of rest.entries()) {
    if (word.text === 'and' || /[,;]/.test(rest[index - 1]?.after ?? '')) items.push([])
    if (word.text !== 'and') items.at(-1)?.push(word)
  }
  const list = items.filter((item) => item.length > 0)
  const isList =
    first?.after === '' &&
    first.text.toLowerCase() !== 'by' &&
    rest[0]?.text !== 'and' &&
    list.length > 1 &&
    list.at(-1)?.length === 1 &&
    !rest.some(({ text }) => text === 'or' || LOOSE.has(text.toLowerCase()))
  return isList ? { head: [first], items: list } : { head: words, items: [] }
}

function withoutAnd(words: Word[]): Word[] {
  const start = words[0]?.text === 'and' ? 1 : 0
  return words.slice(start, words.at(-1)?.text === 'and' ? -1 : undefined)
}

/** Whether the words are phrases of these groups, each once, the first lead among them, and nothing else. */
function isLaidOutIn(told: readonly Word[], groups: readonly Group[], budget: { tries: number }): boolean {
  const unsaid = (group: Group | undefined, used: ReadonlySet<Phrase>) =>
    (group?.hanging ?? []).filter((phrase) => !used.has(phrase)).flatMap(phraseWords)

  const from = (at: number, lead: number, used: ReadonlySet<Phrase>): boolean => {
    if (budget.tries-- <= 0) return false
    if (at === told.length) {
      if (lead < 0 || unsaid(groups[lead], used).some(restricts)) return false
      return !groups.slice(lead + 1).some((group) => wordsIn(group).some(restricts))
    }
    if (at > 0 && told[at]?.text === 'and' && at + 1 < told.length && from(at + 1, lead, used)) return true
    for (const phrase of groups[Math.max(lead, 0)]?.hanging ?? []) {
      if (used.has(phrase)) continue
      const end = endOfPhrase(told, at, phrase)
      if (end !== undefined && from(end, lead, new Set([...used, phrase]))) return true
    }
    // With nothing between them, `for 12` and `services` would be twelve services.
    if (at > 0 && !isApart(told, at, lead >= 0)) return false
    // Leads keep their order: only the first can stand alone, whatever follows it may hang on it.
    for (let next = lead + 1; next < groups.length && (lead >= 0 || next === 0); next++) {
      const passed = lead < 0 ? [] : [...unsaid(groups[lead], used), ...groups.slice(lead + 1, next).flatMap(wordsIn)]
      if (passed.some(restricts)) return false
      const { lead: words } = groups[next] as Group
      if (startsWith(told, at, words, true) && from(at + words.length, next, lead < 0 ? used : new Set())) return true
    }
    return false
  }
  return from(0, -1, new Set())
}

/** Where the phrase ends that begins here; undefined when it does not, or when an item that restricts is missing. */
function endOfPhrase(told: readonly Word[], at: number, { head, items }: Phrase): number | undefined {
  if (!startsWith(told, at, head, false)) return undefined
  if (items.length === 0) return at + head.length
  const left = [...items]
  let end = at + head.length
  for (;;) {
    const isFirst = end === at + head.length
    const joined = !isFirst && told[end]?.text === 'and' ? end + 1 : end
    if (!isFirst && !isApart(told, joined, true)) break
    const found = left.findIndex((item) => startsWith(told, joined, item, false))
    if (found < 0) break
    end = joined + (left.splice(found, 1)[0]?.length ?? 0)
  }
  const some = left.length < items.length
  return some && !left.flat().some(restricts) ? end : undefined
}

/** Whether a comma, or an `and` where that will do, stands before the word. */
function isApart(told: readonly Word[], at: number, byAnd: boolean): boolean {
  const before = told[at - 1]
  return before !== undefined && (/[,;]/.test(before.after) || (byAnd && before.text === 'and'))
}

function startsWith(told: readonly Word[], at: number, words: readonly Word[], asLead: boolean): boolean {
  return words.every((own, index) => {
    const word = told[at + index]
    if (word === undefined) return false
    // Within a phrase a comma keeps apart what is not one.
    if (index < words.length - 1 && word.after !== own.after) return false
    return same(word, own) || (asLead && index === 0 && sameMeaning(word, own))
  })
}

function same(word: Word, own: Word): boolean {
  if (word.text === own.text) return true
  return (word.opens || own.opens) && word.text.toLowerCase() === own.text.toLowerCase()
}

function sameMeaning(word: Word, own: Word): boolean {
  return MEANINGS.get(own.text.toLowerCase())?.has(word.opens ? word.text.toLowerCase() : word.text) === true
}

const phraseWords = ({ head, items }: Phrase) => [...head, ...items.flat()]
const wordsIn = ({ lead, hanging }: Group) => [...lead, ...hanging.flatMap(phraseWords)]
const count = (text: string, character: string) => text.split(character).length - 1

function restricts({ text }: Word): boolean {
  const lower = text.toLowerCase().replace(/[^\p{L}'-]/gu, '')
  return RESTRICTING.has(lower) || lower.endsWith("n't") || /^(co|ex|vice|semi|pre|non)-/.test(lower)
}

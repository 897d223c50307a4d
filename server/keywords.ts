/** The terms a posting asks for, and which of them a text covers. */

/** A term of the posting: how it is shown, how it is compared, and how much it counts (more often named, more weight). */
export interface Keyword {
  /** As the posting first writes it. */
  text: string
  /** Its words in their one form, with a space between. */
  term: string
  weight: number
}

/** Terms taken from one posting at most; beyond that they say little about it. */
const MAX_KEYWORDS = 40
/** No name of anything is longer. */
const MAX_WORD_CHARACTERS = 40
/** An ordinary word is a term when the posting says it so often. */
const TELLING_TIMES = 3
/** A word of the title counts as often as this. */
const TITLE_WEIGHT = 5

// Words that every posting uses. Kept short on purpose: a term that slips through costs a little weight, a term that
// is wrongly dropped costs the person a match.
const COMMON = new Set(
  `a able about above across after all also am an and any apply april are as at august back be because been before
  behind being below benefit between both bring
  but by can candidate company day december do dollar during each eight employer end ensure equal etc every experience february find
  first five for four friday from full get good great had has have help here high his hour how i if in include including into is it its
  january job keep last join june july just know language level like line ll look looking make march may month monday more most
  must need new next nice nine no not november october of off offer on once one only opportunity or other our out over own part
  pay people per plus position preferred provide range re require required requirement responsibility role salary
  saturday second see senior september seven she since six should skill so some strong such sunday take team ten than that the their them then there
  these they third this those three through throughout thursday time to together top tuesday two under until up us use using ve very want
  way we wednesday week well were what when where whether which while who whose why will with within without work
  working world would year yes yet you your yours`.split(/\s+/),
)

/** One form for words that mean the same. Small on purpose: each line is one that postings and resumes really mix. */
const SAME = new Map(
  Object.entries({
    js: 'javascript',
    ts: 'typescript',
    nodejs: 'node.js',
    reactjs: 'react',
    'react.js': 'react',
    'vue.js': 'vue',
    vuejs: 'vue',
    k8s: 'kubernetes',
    postgres: 'postgresql',
    golang: 'go',
    csharp: 'c#',
    cpp: 'c++',
    dotnet: '.net',
    aws: 'amazon web service',
    gcp: 'google cloud',
    ml: 'machine learning',
    ai: 'artificial intelligence',
    nlp: 'natural language processing',
    llm: 'large language model',
    oop: 'object oriented programming',
    qa: 'quality assurance',
    ux: 'user experience',
    ui: 'user interface',
    cicd: 'ci cd',
    rn: 'registered nurse',
    hr: 'human resource',
    seo: 'search engine optimization',
    crm: 'customer relationship management',
    frontend: 'front end',
    backend: 'back end',
    fullstack: 'full stack',
    ehr: 'electronic health record',
    cpr: 'cardiopulmonary resuscitation',
    optimisation: 'optimization',
    organisation: 'organization',
  }).map(([word, form]) => [word, form.split(' ').map(singular).join(' ')]),
)

/** Terms of several words that a posting may name once and in lower case, in their one form. */
const COMPOUNDS = new Set(
  [...SAME.values()]
    .filter((term) => term.includes(' '))
    .concat(
      `data analysis,data science,data engineering,data quality,data warehouse,deep learning,computer vision,
      project management,product management,stakeholder management,change management,risk management,time management,
      supply chain,customer service,customer support,technical support,technical writing,content marketing,social media,
      event driven architecture,distributed system,distributed tracing,unit test,code review,version control,
      design system,rest api,api design,incident response,on call,open source,continuous integration,power bi,
      financial statement,month end,year end,acute care,patient care,lesson plan,food safety,health and safety,
      public speaking,web development,mobile development,cloud computing,information security,query plan,load test`
        .split(',')
        .map((term) => term.trim()),
    ),
)
const LONGEST = 4

interface Token {
  /** In its one form; one word of it. */
  word: string
  start: number
  end: number
  /** Written as a name: a capital or mark within a sentence. */
  named: boolean
}

/** A word of a text with the marks that names such as `C++`, `C#`, `.NET`, `node.js` need. */
const WORD = /\.NET\b|[\p{L}\p{N}][\p{L}\p{N}\p{M}+#]*(?:\.(?=js\b)[\p{L}]+)?/giu

/** The words of a text as they are compared: in their one form, so that `K8s` is found in `Kubernetes`. */
export function words(text: string): string[] {
  return tokensOf(text.normalize('NFKC')).map(({ word }) => word)
}

function tokensOf(text: string): Token[] {
  return [...text.matchAll(WORD)].flatMap((match) => {
    const [written] = match
    const start = match.index
    // After a full stop, a bullet or a line's end a capital says nothing; within `Event-Driven` it does.
    const before = text.slice(Math.max(0, start - 4), start)
    const opens = (start === 0 || /([.!?:;•*–—-]\s*|\n\s*)$/.test(before)) && !/\p{L}-$/u.test(before)
    const named = /[+#.]/.test(written) || /\p{L}.*[\p{Lu}\p{N}]/u.test(written) || (!opens && /^\p{Lu}/u.test(written))
    const lower = written.toLowerCase()
    return (SAME.get(lower) ?? SAME.get(singular(lower)) ?? singular(lower))
      .split(' ')
      .map((word) => ({ word, start, end: start + written.length, named }))
  })
}

/** `teams` and `team` are one; `process`, `status`, `analysis` and what is short are left alone. */
function singular(word: string): string {
  if (word.length < 4 || !/^\p{L}+s$/u.test(word) || /(ss|us|[^p]is)$/.test(word)) return word
  if (word.endsWith('ies') && word.length > 4) return `${word.slice(0, -3)}y`
  if (/(ch|sh|x|ss|zz)es$/.test(word)) return word.slice(0, -2)
  return word.slice(0, -1)
}

interface Posting {
  title: string
  description: string
  company?: string
  location?: string
}

/**
 * The posting's terms, heaviest first; at most {@link MAX_KEYWORDS}. A term is a word of the title, a name, a known
 * compound, or what the posting says again and again; the employer's own name and place are none.
 */
export function keywordsOf({ title, description, company = '', location = '' }: Posting): Keyword[] {
  const own = new Set(words(`${company} ${location}`))
  const inTitle = new Set(words(title))
  const found = new Map<string, { text: string; weight: number; times: number; telling: boolean }>()
  const count = (source: string, weight: number, isTitle: boolean) => {
    const text = source.normalize('NFKC')
    const tokens = tokensOf(text)
    for (let index = 0; index < tokens.length; ) {
      const length = compoundAt(tokens, index, text, inTitle)
      const run = tokens.slice(index, index + length)
      index += length
      const term = run.map(({ word }) => word).join(' ')
      const [first, last] = [run[0] as Token, run.at(-1) as Token]
      if (run.every(({ word }) => own.has(word)) || (length === 1 && isNoTerm(term))) continue
      const known = found.get(term)
      found.set(term, {
        text: known?.text ?? text.slice(first.start, last.end).replace(/\s+/g, ' '),
        weight: (known?.weight ?? 0) + weight,
        times: (known?.times ?? 0) + 1,
        telling: known?.telling || isTitle || length > 1 || first.named,
      })
    }
  }
  // The title last, so that a term is shown as running text writes it.
  count(description, 1, false)
  count(title, TITLE_WEIGHT, true)
  return [...found]
    .filter(([, { telling, times }]) => telling || times >= TELLING_TIMES)
    .map(([term, { text, weight }]) => ({ text, term, weight }))
    .sort((a, b) => b.weight - a.weight || a.term.localeCompare(b.term))
    .slice(0, MAX_KEYWORDS)
}

const isNoTerm = (word: string) =>
  word.length > MAX_WORD_CHARACTERS ||
  COMMON.has(word) ||
  /^\d/.test(word) ||
  (word.length < 2 && word !== 'r' && word !== 'c')

/** How many words from here make one term: a known compound, or two names that stand together (`Power Query`). */
function compoundAt(tokens: readonly Token[], index: number, text: string, inTitle: ReadonlySet<string>): number {
  for (let length = Math.min(LONGEST, tokens.length - index); length > 1; length--) {
    const run = tokens.slice(index, index + length)
    if (COMPOUNDS.has(run.map(({ word }) => word).join(' '))) return length
  }
  // A third name, and it is somebody's.
  const [first, second, third] = [0, 1, 2].map((offset) => tokens[index + offset])
  const isName = (token: Token | undefined) =>
    token?.named && !isNoTerm(token.word) && /^\p{Lu}\p{Ll}+$/u.test(text.slice(token.start, token.end))
  if (!first || !second || !isName(first) || !isName(second) || isName(third)) return 1
  const isInTitle = inTitle.has(first.word) || inTitle.has(second.word)
  return !isInTitle && text.slice(first.end, second.start) === ' ' ? 2 : 1
}

const inOneForm = (texts: Iterable<string>) => [...texts].map((text) => ` ${words(text).join(' ')} `)

/** How well a text fits the posting: the summed weight of the terms it holds, each counted once. */
export function score(text: string, keywords: readonly Keyword[]): number {
  const [held = ''] = inOneForm([text])
  return keywords.reduce((sum, { term, weight }) => sum + (held.includes(` ${term} `) ? weight : 0), 0)
}

/** Which of the terms the texts cover together. No term is found across two texts. */
export function covered(texts: Iterable<string>, keywords: readonly Keyword[]): Set<Keyword> {
  const held = inOneForm(texts)
  return new Set(keywords.filter(({ term }) => held.some((text) => text.includes(` ${term} `))))
}

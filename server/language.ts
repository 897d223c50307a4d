/** The language a resume is written in, as far as its letters and its commonest words say. */

/** Letters that only some languages of a script write; the first that matches is it, the last is the script's. */
const BY_SCRIPT: [script: RegExp, languages: [letters: RegExp, language: string][]][] = [
  [/\p{Script=Greek}/gu, [[/./u, 'el']]],
  [/\p{Script=Armenian}/gu, [[/./u, 'hy']]],
  [/\p{Script=Georgian}/gu, [[/./u, 'ka']]],
  [
    /\p{Script=Cyrillic}/gu,
    [
      [/ў/i, 'be'],
      [/[іїєґ]/i, 'uk'],
      [/[ђћџљњ]/i, 'sr'],
      [/[ѓќѕ]/i, 'mk'],
      [/[әғқңұһ]/i, 'kk'],
      [/[ыэё]/i, 'ru'],
      [/ъ/i, 'bg'],
      [/./u, 'ru'],
    ],
  ],
]

/** The words a language cannot do without, and that few others have. */
const WORDS: Record<string, string> = {
  en: 'the and of with for in to a by from on at',
  de: 'und der die das mit für von im den ein eine zu bei auf',
  fr: 'et le la les des du une pour dans avec sur au aux en',
  es: 'y el los las una para con del en por que al',
  pt: 'e os das dos uma para com em por no na ao',
  it: 'e il gli della di per con una nel del dei alla',
  nl: 'en het een van voor met de op bij aan naar',
  sv: 'och för med att som på av en ett till från',
  da: 'og for med at som på af en et til fra ved',
  pl: 'i w z na do dla oraz się że nie od przy',
  cs: 'a v s na pro jsem se že do od při který',
  tr: 've bir için ile bu olarak da de olan',
  vi: 'và của cho các với trong là những được từ',
  hu: 'és a az egy hogy nem volt számára',
  ro: 'și de în pentru cu la din o pe',
  fi: 'ja on että oli sekä kanssa',
}

/** BCP 47 language of the text; `en`, in which the section titles are, when it does not say. */
export function languageOf(text: string): string {
  const letters = text.match(/\p{L}/gu)?.length ?? 0
  for (const [script, languages] of BY_SCRIPT) {
    const own = text.match(script) ?? []
    if (own.length <= letters / 2) continue
    return languages.find(([sign]) => sign.test(own.join('')))?.[1] ?? 'en'
  }
  const words = text.toLowerCase().match(/\p{L}+/gu) ?? []
  const counts = Object.entries(WORDS).map(([language, list]) => {
    const known = new Set(list.split(' '))
    return { language, count: words.filter((word) => known.has(word)).length }
  })
  const [first, second] = counts.sort((a, b) => b.count - a.count)
  // A handful of words, or as many of another language's, is no evidence.
  return first && second && first.count >= 3 && first.count > second.count ? first.language : 'en'
}

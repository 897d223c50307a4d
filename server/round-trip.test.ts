/** Any text in any field comes back from the PDF as it was, by two readers that share no code. */

import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import fc from 'fast-check'
import { getDocumentProxy } from 'unpdf'
import { beforeAll, expect, it } from 'vitest'
import { readToolchain } from '../ops/setup/toolchain.ts'
import { renderLatex, TEMPLATE } from './latex.ts'
import { linesOf } from './lines.ts'
import { validatePdf } from './pdf.ts'
import { clusters, printable } from './printable.ts'
import { Profile } from './request-contract.ts'
import { tailor } from './tailor.ts'
import { Tectonic } from './tectonic.ts'
import { type Typeface, typefaceOf } from './typeface.ts'

const RUNS = Number(process.env.ROUND_TRIPS ?? 25)
const posting = { source: 'json-ld', title: '', company: '', location: '', description: 'x' } as const
let tectonic: Tectonic
let typeface: Typeface

beforeAll(async () => {
  tectonic = new Tectonic({ toolchain: await readToolchain(), timeoutMs: 30_000, concurrency: 2, queueLimit: 8 })
  typeface = await typefaceOf(tectonic, TEMPLATE)
})

/** What people write in, and what they paste along with it. */
const SCRIPTS: Record<string, string> = {
  latin: characters(0x21, 0x24f),
  vietnamese: characters(0x1ea0, 0x1ef9),
  cyrillic: characters(0x400, 0x52f),
  greek: characters(0x370, 0x3ff) + characters(0x1f00, 0x1fff),
  armenian: characters(0x531, 0x58a),
  georgian: characters(0x10d0, 0x10fa),
  signs: characters(0x2010, 0x27bf),
  marks: 'aeoêẹọx\u0300\u0301\u0303\u0304\u0308\u030c\u0323\u0331\u0327\u20dd',
  tex: '\\{}$&#%_^~-"\'`<>[]|!?*',
  removed: 'ab\u200b\u202e\u00ad\ufeff\ue000😀👍🏽🇩🇪\ufe0f\u0007ﬁﬄ',
}

function characters(from: number, to: number): string {
  return Array.from({ length: to - from + 1 }, (_, index) => String.fromCodePoint(from + index)).join('')
}

const words = Object.values(SCRIPTS).map((pool) =>
  fc.array(fc.constantFrom(...Array.from(pool)), { minLength: 1, maxLength: 12 }).map((each) => each.join('')),
)
const space = fc.constantFrom(' ', ' ', ' ', '\u00a0', '\n', '\t ', '\u2009')
/** A few words, of characters that some font has: for the others there is a message, and another test. */
const text = (maxLength: number) =>
  fc
    .array(fc.tuple(fc.oneof(...words), space), { minLength: 1, maxLength })
    .map((pairs) => supported(pairs.flat().join('')))
    .map(readable)

function supported(text: string): string {
  const has = (cluster: string, bold: boolean) => Array.from(cluster).every((each) => typeface.familyOf(each, bold))
  const unprintable = clusters(printable(text)).filter((cluster) => !has(cluster, false) || !has(cluster, true))
  // By characters, and not by clusters: what is taken out may not be taken for what stays.
  return Array.from(text)
    .filter((each) => !unprintable.some((cluster) => cluster.includes(each.normalize('NFC'))))
    .join('')
    .trim()
}

/**
 * Without what poppler reads otherwise wherever it stands: a row of nothing but single characters is one word, widely
 * spaced; a hyphen at the end of a row is hyphenation. Within a text the template sees to that; at its end it cannot.
 */
const readable = (text: string) =>
  text
    .split(/(\s+)/)
    .map((word) => (clusters(printable(word)).length === 1 ? `${word}q` : word))
    .join('')
    .replace(/[-\s\p{C}\p{M}\p{Emoji_Presentation}]+$/u, '')

const date = fc.constantFrom('2019', '2019-03', '2019-03-31', '2020-12')
const named = (max: number) => text(max).map((value) => (printable(value) ? value : `N${value}`))
const some = <T>(item: fc.Arbitrary<T>, maxLength = 2) => fc.array(item, { maxLength })
const profiles = fc.record({
  basics: fc.record({
    name: named(3),
    label: text(5),
    phone: text(2).map((each) => each.slice(0, 50)),
    summary: text(40),
    location: fc.record({ address: text(2), city: text(2), region: text(2) }),
    profiles: some(fc.record({ network: text(1), username: text(1) })),
  }),
  work: some(
    fc.record({
      name: named(4),
      position: text(4),
      location: text(2),
      description: text(6),
      startDate: date,
      endDate: date,
      summary: text(12),
      highlights: some(text(25), 4),
    }),
    3,
  ),
  volunteer: some(fc.record({ organization: text(3), position: text(3), highlights: some(text(12)) })),
  education: some(
    fc.record({ institution: named(4), area: text(3), studyType: text(2), score: text(1), courses: some(text(2)) }),
  ),
  skills: some(fc.record({ name: text(2), level: text(1), keywords: some(text(2), 5) })),
  projects: some(
    fc.record({
      name: text(3),
      description: text(12),
      entity: text(2),
      keywords: some(text(1)),
      highlights: some(text(9)),
    }),
  ),
  awards: some(fc.record({ title: text(3), awarder: text(2), date, summary: text(9) })),
  publications: some(fc.record({ name: text(5), publisher: text(3), releaseDate: date, summary: text(9) })),
  certificates: some(fc.record({ name: text(4), issuer: text(3), date })),
  languages: some(fc.record({ language: text(1), fluency: text(2) })),
  interests: some(fc.record({ name: text(2), keywords: some(text(1)) })),
  references: some(fc.record({ name: text(2), reference: text(12) })),
})

it('any text in any field is read back exactly, by poppler and by pdf.js', {
  timeout: 20_000 + RUNS * 5_000,
}, async () => {
  await fc.assert(
    fc.asyncProperty(profiles, async (raw) => {
      const profile = Profile.parse(raw)
      const resume = await tailor({ profile, posting }, undefined, new AbortController().signal)
      const document = renderLatex(resume, { typeface, profile })
      expect(document.leftOut).toBe(0)
      const written = linesOf(resume)
        .map(({ kind, runs }) => `${kind === 'bullet' ? '•' : ''} ${runs.map(({ text }) => text).join('')}`)
        .join('\n')
      const { pdf } = await tectonic.compile(document.tex, { trust: 'own' })
      await validatePdf(pdf, document)
      for (const read of [await readByPoppler(pdf), await readByPdfJs(pdf)]) {
        const difference = firstDifference(comparable(read), comparable(written))
        expect(difference, JSON.stringify(difference)).toBeUndefined()
      }
    }),
    { numRuns: RUNS, endOnFailure: true, ...(process.env.SEED && { seed: Number(process.env.SEED) }) },
  )
})

it('of a word that no row can hold, every letter is read back in order', async () => {
  const word = 'https://example.com/'.padEnd(190, 'abcdefghij/äж')
  const profile = {
    basics: { name: word.slice(0, 60), label: word, summary: `Before ${word} after` },
    work: [{ name: 'N', highlights: [word] }],
  }
  const resume = await tailor({ profile, posting }, undefined, new AbortController().signal)
  const document = renderLatex(resume, { typeface, profile })
  const { pdf } = await tectonic.compile(document.tex, { trust: 'own' })
  await validatePdf(pdf, document)
  for (const read of [await readByPoppler(pdf), await readByPdfJs(pdf)]) {
    expect(read.replace(/\s/g, '').split(word)).toHaveLength(4)
  }
})

it('hyphens are read back where a row could end', async () => {
  const hyphens = Array.from({ length: 60 }, (_, index) => `pre-${index % 7 ? '' : 'war'} post-`).join(' ')
  const profile = { basics: { name: 'A', summary: `${hyphens} all.` } }
  const resume = await tailor({ profile, posting }, undefined, new AbortController().signal)
  const { pdf } = await tectonic.compile(renderLatex(resume, { typeface }).tex, { trust: 'own' })
  for (const read of [await readByPoppler(pdf), await readByPdfJs(pdf)]) expect(comparable(read)).toContain(hyphens)
})

it('nothing stands between bold letters and what follows them', async () => {
  const skills = ['ab\u0187', 'fj', 'жf', 'Qř'].map((name) => ({ name, keywords: ['one', 'two'] }))
  const profile = { basics: { name: 'A' }, skills }
  const resume = await tailor({ profile, posting }, undefined, new AbortController().signal)
  const { pdf } = await tectonic.compile(renderLatex(resume, { typeface }).tex, { trust: 'own' })
  const written = `A Skills ${skills.map(({ name }) => `${name}: one, two`).join(' ')}`
  for (const read of [await readByPoppler(pdf), await readByPdfJs(pdf)]) expect(comparable(read)).toBe(written)
})

/** Rows end somewhere, and there a bar between parts is gone; nothing else may differ. */
function comparable(text: string): string {
  return text
    .normalize('NFC')
    .replace(/[\s|]+/gu, ' ')
    .trim()
}

/** What was read and what was written, from a little before the place where they part; undefined when they never do. */
function firstDifference(read: string, written: string): [read: string, written: string] | undefined {
  if (read === written) return undefined
  let at = 0
  while (read[at] === written[at]) at++
  return [read.slice(Math.max(0, at - 15), at + 15), written.slice(Math.max(0, at - 15), at + 15)]
}

async function readByPoppler(pdf: Uint8Array): Promise<string> {
  const reading = promisify(execFile)('pdftotext', ['-enc', 'UTF-8', '-', '-'])
  reading.child.stdin?.end(pdf)
  return (await reading).stdout
}

async function readByPdfJs(pdf: Uint8Array): Promise<string> {
  const document = await getDocumentProxy(new Uint8Array(pdf))
  let text = ''
  for (let number = 1; number <= document.numPages; number++) {
    const page = await document.getPage(number)
    const { items } = await page.getTextContent({ disableNormalization: true })
    text += `${items.map((item) => ('str' in item ? item.str + (item.hasEOL ? '\n' : '') : '')).join('')}\n`
  }
  await document.loadingTask.destroy()
  return text
}

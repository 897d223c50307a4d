import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { promisify } from 'node:util'
import { beforeAll, describe, expect, it } from 'vitest'
import { readToolchain } from '../ops/setup/toolchain.ts'
import { type LatexDocument, renderLatex, TEMPLATE } from './latex.ts'
import { checkPdf, PDF_CHECKS, type PdfCheck, validatePdf } from './pdf.ts'
import { printable } from './printable.ts'
import { type GenerateRequest, Profile } from './request-contract.ts'
import { tailor } from './tailor.ts'
import { Tectonic } from './tectonic.ts'
import { type Typeface, typefaceOf } from './typeface.ts'

const tectonic = new Tectonic({ toolchain: await readToolchain(), timeoutMs: 30_000, concurrency: 2, queueLimit: 8 })
const posting = {
  source: 'json-ld',
  title: 'Backend engineer',
  company: 'Acme',
  location: '',
  description: 'TypeScript, Kafka, Kubernetes, observability, wheels, brakes and teaching',
} as const
let typeface: Typeface

beforeAll(async () => {
  typeface = await typefaceOf(tectonic, TEMPLATE)
})

const compile = async (tex: string) => (await tectonic.compile(tex, { trust: 'own' })).pdf

async function make(name: string) {
  const file = new URL(`../fixtures/profiles/${name}.json`, import.meta.url)
  const profile = Profile.parse(JSON.parse(readFileSync(file, 'utf8')))
  const request: GenerateRequest = { profile, posting }
  const resume = await tailor(request, undefined, new AbortController().signal)
  const document = renderLatex(resume, { typeface, profile })
  return { profile, resume, document, pdf: await compile(document.tex) }
}

/** The text as poppler reads it: another reader than the one that validates. */
async function pdftotext(pdf: Uint8Array): Promise<string> {
  const reading = promisify(execFile)('pdftotext', ['-enc', 'UTF-8', '-', '-'])
  reading.child.stdin?.end(pdf)
  return (await reading).stdout
}

const solid = (text: string) => text.normalize('NFC').replace(/\s+/g, '')

it.each(['short', 'long', 'diacritics', 'scripts', 'everything'])(
  'the PDF of %s reads as it was meant, in order, and holds nothing else',
  async (name) => {
    const { profile, resume, document, pdf } = await make(name)
    const text = await pdftotext(pdf)
    const read = solid(text)
    const expected = [
      profile.basics.name,
      ...resume.work.flatMap((job) => [job.position ?? '', job.name, ...job.highlights]),
      ...resume.education.map(({ institution }) => institution),
    ]
    let at = 0
    for (const part of expected) {
      const found = read.indexOf(solid(printable(part)), at)
      expect(found, `"${part}" after position ${at}`).toBeGreaterThanOrEqual(0)
      at = found
    }
    const shown = text
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => document.outline.includes(line))
    expect(shown).toEqual(document.outline)

    // Every number in the PDF stands in the profile: no date, figure or telephone number from elsewhere.
    const source = JSON.stringify(profile)
    for (const number of text.match(/\d+/g) ?? []) expect(source).toContain(number)
    for (const { name: employer } of resume.work) expect(profile.work?.map((job) => job.name)).toContain(employer)

    const valid = await validatePdf(pdf, document)
    expect(valid).toMatchObject({ sizeBytes: pdf.byteLength, pages: document.pages })
    expect(valid.checks).toEqual(PDF_CHECKS.map((check) => ({ check, outcome: 'passed' })))
  },
)

it('prints what people paste: brackets first, ligatures, a micro sign', async () => {
  const odd = ['[Lead] Built it', '[2019 Certi\ufb01ed', 'Cut latency to 50 \u00b5s', '* starred', '<tag> && ~']
  const profile = { basics: { name: 'Ada [Quill]' }, work: [{ name: '[Northwind]', highlights: odd }] }
  const resume = await tailor({ profile, posting }, undefined, new AbortController().signal)
  const document = renderLatex(resume, { typeface })
  const pdf = await compile(document.tex)
  await expect(validatePdf(pdf, document)).resolves.toMatchObject({ pages: 1 })
  expect(solid(await pdftotext(pdf))).toContain('Certified')
})

describe('refuses a PDF', () => {
  let good: { document: LatexDocument; pdf: Uint8Array }
  beforeAll(async () => {
    good = await make('short')
  })

  /** The document compiled with something in it changed, and judged by what it should have been. */
  const spoiled = (from: string | RegExp, to: string) => {
    const tex = good.document.tex.replace(from, () => to)
    expect(tex).not.toBe(good.document.tex)
    return compile(tex)
  }
  // A PDF by hand, for what Tectonic does not make: it names a font and leaves it to the reader to have it.
  const withoutFont = () => {
    const stream = 'BT /F1 12 Tf 72 700 Td (Wren) Tj ET'
    const objects = [
      '<</Type/Catalog/Pages 2 0 R>>',
      '<</Type/Pages/Kids[3 0 R]/Count 1>>',
      '<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>',
      `<</Length ${stream.length}>>\nstream\n${stream}\nendstream`,
      '<</Type/Font/Subtype/TrueType/BaseFont/Georgia>>',
    ].map((object, index) => `${index + 1} 0 obj\n${object}\nendobj\n`)
    return Buffer.from(`%PDF-1.5\n${objects.join('')}trailer\n<</Size 6/Root 1 0 R>>\n%%EOF\n`)
  }

  const cases: [PdfCheck, string, () => Uint8Array | Promise<Uint8Array>][] = [
    ['size', 'that is larger than any resume', () => Buffer.concat([good.pdf, Buffer.alloc(2 * 1024 * 1024)])],
    ['readable', 'that is none', () => Buffer.from('hello')],
    [
      'pages',
      'of more pages than a resume has',
      () => spoiled('\\end{document}', '\\newpage x\\newpage x\\end{document}'),
    ],
    ['fonts_embedded', 'that leaves its fonts to the reader', withoutFont],
    ['text', 'that lacks a word', () => spoiled('140 wheels', 'wheels')],
    [
      'text_on_page',
      'whose text runs off the page',
      () => spoiled('\\item{} ', '\\item{} \\rlap{\\hskip17cm runs off the page}'),
    ],
    ['links', 'with a link to elsewhere', () => spoiled(/\\link\{6d61/, '\\link{6d62')],
    ['links', 'without a link', () => spoiled(/\\link\{[0-9a-f]+\}/, '')],
    [
      'outline',
      'without its outline',
      () => spoiled('\\begin{document}', '\\renewcommand\\bookmark[1]{}\\begin{document}'),
    ],
    ['title', 'with another title', () => spoiled('\\describe{feff0052', '\\describe{feff0053')],
    ['language', 'in no language', () => spoiled(/(?<=\\describe\{\w+\}\{\w+\})\{en\}/, '{}')],
  ]
  it.each(cases)('by its %s: one %s', async (check, _, make) => {
    const pdf = await make()
    const { checks } = await checkPdf(pdf, good.document)
    const failed = checks.flatMap((each) => (each.outcome === 'failed' ? [each.check] : []))
    // One fault, one check; what was made by hand is no resume in other ways, too.
    if (check === 'fonts_embedded') expect(failed).toContain(check)
    else expect(failed).toEqual([check])
    const refusal = expect.objectContaining({ code: 'pdf_invalid', reason: failed[0] })
    await expect(validatePdf(pdf, good.document)).rejects.toEqual(refusal)
  })

  it('that has everything in another order', async () => {
    const expected = { ...good.document, mustContain: good.document.mustContain.toReversed() }
    await expect(validatePdf(good.pdf, expected)).rejects.toMatchObject({ code: 'pdf_invalid', reason: 'text' })
  })

  it('cut in half', async () => {
    const half = good.pdf.subarray(0, good.pdf.length / 8)
    await expect(validatePdf(half, good.document)).rejects.toMatchObject({ code: 'pdf_invalid' })
  })
})

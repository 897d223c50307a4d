import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'
import { readToolchain } from '../ops/setup/toolchain.ts'
import { printable, renderLatex } from './latex.ts'
import { validatePdf } from './pdf.ts'
import { type GenerateRequest, Profile } from './request-contract.ts'
import { tailor } from './tailor.ts'
import { Tectonic } from './tectonic.ts'

const tectonic = new Tectonic({ toolchain: await readToolchain(), timeoutMs: 30_000, concurrency: 2, queueLimit: 8 })
const posting = {
  source: 'json-ld',
  title: 'Backend engineer',
  company: 'Acme',
  location: '',
  description: 'TypeScript, Kafka, Kubernetes, observability, wheels, brakes and teaching',
} as const

async function make(name: string) {
  const file = new URL(`../fixtures/profiles/${name}.json`, import.meta.url)
  const profile = Profile.parse(JSON.parse(readFileSync(file, 'utf8')))
  const request: GenerateRequest = { profile, posting }
  const resume = await tailor(request, undefined, new AbortController().signal)
  const document = renderLatex(resume)
  const { pdf } = await tectonic.compile(document.tex, { trust: 'own' })
  return { profile, resume, document, pdf }
}

/** The text as poppler reads it: another reader than the one that validates. */
async function pdftotext(pdf: Uint8Array): Promise<string> {
  const reading = promisify(execFile)('pdftotext', ['-enc', 'UTF-8', '-', '-'])
  reading.child.stdin?.end(pdf)
  return (await reading).stdout
}

const solid = (text: string) => text.normalize('NFC').replace(/\s+/g, '')

it.each(['short', 'long', 'diacritics'])(
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
    const titles = ['Summary', 'Experience', 'Projects', 'Education', 'Skills', 'Certificates', 'Languages']
    const present = titles.filter((title) => document.mustContain.includes(title))
    const shown = text
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => present.includes(line))
    expect(shown).toEqual(present)

    // Every number in the PDF stands in the profile: no date, figure or telephone number from elsewhere.
    const source = JSON.stringify(profile)
    for (const number of text.match(/\d+/g) ?? []) expect(source).toContain(number)
    for (const { name: employer } of resume.work) expect(profile.work?.map((job) => job.name)).toContain(employer)

    await expect(validatePdf(pdf, document.mustContain)).resolves.toMatchObject({ sizeBytes: pdf.byteLength })
  },
)

it('refuses a PDF that lacks what it must hold, or has it in another order', async () => {
  const { pdf, document } = await make('short')
  const refused = { code: 'pdf_invalid', reason: 'text_missing' }
  await expect(validatePdf(pdf, [...document.mustContain, 'Initech'])).rejects.toMatchObject(refused)
  await expect(validatePdf(pdf, document.mustContain.toReversed())).rejects.toMatchObject(refused)
})

it('prints what people paste: brackets first, ligatures, a micro sign', async () => {
  const odd = ['[Lead] Built it', '[2019 Certi\ufb01ed', 'Cut latency to 50 \u00b5s', '* starred', '<tag> && ~']
  const profile = { basics: { name: 'Ada [Quill]' }, work: [{ name: '[Northwind]', highlights: odd }] }
  const resume = await tailor({ profile, posting }, undefined, new AbortController().signal)
  const document = renderLatex(resume)
  const { pdf } = await tectonic.compile(document.tex, { trust: 'own' })
  await expect(validatePdf(pdf, document.mustContain)).resolves.toMatchObject({ pages: 1 })
  expect(solid(await pdftotext(pdf))).toContain('Certified')
})

it('refuses a PDF of more pages than a resume has', async () => {
  const pages = Array.from({ length: 4 }, (_, index) => `page ${index}`).join('\\newpage ')
  const tex = `\\documentclass{article}\\begin{document}${pages}\\end{document}`
  const { pdf } = await tectonic.compile(tex, { trust: 'own' })
  await expect(validatePdf(pdf, [])).rejects.toMatchObject({ code: 'pdf_invalid', reason: 'page_count' })
})

it('refuses what is not a PDF, and a PDF cut in half', async () => {
  const { pdf } = await make('short')
  const refused = { code: 'pdf_invalid', reason: 'unreadable' }
  await expect(validatePdf(Buffer.from('hello'), [])).rejects.toMatchObject(refused)
  await expect(validatePdf(pdf.subarray(0, pdf.length / 8), ['Wren'])).rejects.toMatchObject({ code: 'pdf_invalid' })
})

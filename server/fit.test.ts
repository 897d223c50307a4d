import { getDocumentProxy } from 'unpdf'
import { beforeAll, expect, it } from 'vitest'
import { readToolchain } from '../ops/setup/toolchain.ts'
import { MAX_PAGES } from './fit.ts'
import { type LatexDocument, renderLatex, TEMPLATE } from './latex.ts'
import { countPages, validatePdf } from './pdf.ts'
import { compileToFit } from './pipeline.ts'
import { Profile } from './request-contract.ts'
import { type Resume, tailor } from './tailor.ts'
import { Tectonic } from './tectonic.ts'
import { type Typeface, typefaceOf } from './typeface.ts'

const posting = { source: 'json-ld', title: '', company: '', location: '', description: 'Kafka' } as const
let tectonic: Tectonic
let typeface: Typeface

beforeAll(async () => {
  tectonic = new Tectonic({ toolchain: await readToolchain(), timeoutMs: 30_000, concurrency: 2, queueLimit: 8 })
  typeface = await typefaceOf(tectonic, TEMPLATE)
})

const sentence = (seed: number) =>
  `Bullet ${seed}: ${'moved measured mended things for people '.repeat(1 + (seed % 4))}in ${seed % 12} towns.`

function career(jobs: number, bullets: number): Profile {
  return Profile.parse({
    basics: { name: 'Ada Quill', summary: sentence(3) },
    work: Array.from({ length: jobs }, (_, job) => ({
      name: `Employer ${job}`,
      position: `Engineer ${job}`,
      startDate: `${2020 - job}-01`,
      endDate: `${2020 - job}-12`,
      highlights: Array.from({ length: bullets }, (_, bullet) => sentence(job * 100 + bullet)),
    })),
    education: [{ institution: 'University of Wetherby', studyType: 'BSc', endDate: '1990' }],
    references: [{ name: 'Somebody', reference: sentence(2) }],
  })
}

/** All bullets, where the tailor would have chosen some: more than two pages can take. */
async function untailored(profile: Profile): Promise<Resume> {
  const resume = await tailor({ profile, posting }, undefined, new AbortController().signal)
  const work = (profile.work ?? []).map((job) => ({ ...job, highlights: job.highlights ?? [] }))
  return { ...resume, work }
}

const compile = async (tex: string) => (await tectonic.compile(tex, { trust: 'own' })).pdf

it('30 jobs of 20 bullets each are two good pages: every job, and the best of the bullets', async () => {
  const profile = career(30, 20)
  const document = renderLatex(await untailored(profile), { typeface, profile })
  const pdf = await compile(document.tex)
  await expect(validatePdf(pdf, document)).resolves.toMatchObject({ pages: MAX_PAGES })
  for (const { name } of profile.work ?? []) expect(document.mustContain).toContain(name)
  expect(document.mustContain).toContain('University of Wetherby')
  const shown = document.mustContain.filter((text) => text.startsWith('Bullet ')).length
  expect(shown).toBeGreaterThan(10)
  // A summary is no bullet, a reference is a remark.
  expect(shown - 1 + document.leftOut).toBe(600 + 1)
  // Nearly full: two rows more would not have fitted.
  expect(renderLatex(await untailored(profile), { typeface, spare: 30 }).leftOut).toBeGreaterThan(document.leftOut)
})

it('what fits the posting stays before what does not, and the newest job before the oldest', async () => {
  const profile = career(14, 8)
  const last = profile.work?.[3]?.highlights?.[7] ?? ''
  const resume = await untailored(profile)
  const bullets = (fitOf: (text: string) => number) =>
    renderLatex(resume, { typeface, fitOf }).mustContain.filter((text) => text.startsWith('Bullet '))
  expect(bullets(() => 0)).not.toContain(last)
  expect(bullets((text) => (text === last ? 1 : 0)).length).toBeGreaterThan(0)
  const ofJob = (job: number, all: string[]) =>
    all.filter((text) => Math.floor(Number(text.match(/\d+/)?.[0]) / 100) === job).length
  const all = bullets(() => 0)
  expect(ofJob(0, all)).toBeGreaterThan(ofJob(13, all))
})

it('leaves nothing out that there is room for', async () => {
  const document = renderLatex(await untailored(career(3, 5)), { typeface })
  expect(document).toMatchObject({ leftOut: 0, pages: 1 })
})

it('reckons pages as TeX sets them', async () => {
  for (const [jobs, bullets] of [
    [1, 1],
    [4, 7],
    [5, 6],
    [5, 7],
    [6, 8],
    [9, 9],
    [20, 3],
    [25, 0],
  ] as const) {
    const document = renderLatex(await untailored(career(jobs, bullets)), { typeface })
    expect(await countPages(await compile(document.tex)), `${jobs} jobs of ${bullets}`).toBe(document.pages)
  }
})

it('says what to shorten when facts alone take more than two pages', async () => {
  const profile = career(30, 1)
  const skills = Array.from({ length: 40 }, (_, index) => ({
    name: `Skill ${index}`,
    keywords: Array.from({ length: 40 }, (_, keyword) => `keyword ${keyword}`),
  }))
  const resume = await untailored({ ...profile, skills })
  expect(() => renderLatex(resume, { typeface })).toThrow(
    expect.objectContaining({ code: 'resume_too_long', detail: 'the longest part is “skills”' }),
  )
})

it('prints less when the pages have become more than was reckoned', async () => {
  // Room that is not measured: nobody describes a resume while measuring.
  const taller = TEMPLATE.replace(
    '@BODY@',
    () => '\\let\\d\\describe\\def\\describe#1#2#3{\\d{#1}{#2}{#3}\\vspace*{50pt}}@BODY@',
  )
  const resume = await untailored(career(12, 12))
  const render = (spare: number) => renderLatex(resume, { typeface, template: taller, spare })
  const reckoned = render(0)
  const compiled: number[] = []
  const { document, pdf } = await compileToFit(reckoned, render, async (each) => {
    const made = await compile(each.tex)
    compiled.push(await countPages(made))
    return made
  })
  expect([compiled[0], compiled.at(-1)]).toEqual([3, 2])
  expect(document.leftOut).toBeGreaterThan(reckoned.leftOut)
  await expect(validatePdf(pdf, document)).resolves.toMatchObject({ pages: 2 })
})

it('never leaves a heading or a job alone at the end of a page', async () => {
  for (let bullets = 3; bullets < 9; bullets++) await expectNobodyLeftAlone(await untailored(career(9, bullets)))
  // Of jobs without bullets there is a summary, which is no list.
  for (let rows = 1; rows < 6; rows++) {
    const resume = await untailored(career(24, 0))
    const work = resume.work.map((job) => ({ ...job, summary: 'Summary of what I did there.' }))
    await expectNobodyLeftAlone({ ...resume, work, summary: 'A row and more of it. '.repeat(rows * 4) })
  }
})

it('leaves no second page with next to nothing on it', async () => {
  const resume = await untailored(career(7, 3))
  // From what has room on one page to what needs most of a second one.
  const documents = Array.from({ length: 12 }, (_, rows) =>
    renderLatex({ ...resume, summary: 'A row and more of what I did. '.repeat(rows * 4) }, { typeface }),
  )
  expect(documents[0]?.pages).toBe(1)
  const ofTwo = documents.filter(({ pages }) => pages === 2)
  expect(ofTwo.length).toBeGreaterThan(4)
  for (const document of ofTwo) {
    const pdf = await getDocumentProxy(new Uint8Array(await compile(document.tex)))
    expect(pdf.numPages).toBe(2)
    const { items } = await (await pdf.getPage(2)).getTextContent()
    const lowest = Math.min(...items.flatMap((item) => ('str' in item && item.str.trim() ? [item.transform[5]] : [])))
    await pdf.loadingTask.destroy()
    // From the upper edge of the text, at 842 - 48 points.
    expect(794 - lowest).toBeGreaterThan(130)
  }
})

it('saves a page where a little less room between the parts does it, and leaves nothing out', async () => {
  const resume = await untailored(career(5, 4))
  // A row more, and a row more, until they are too many for one page without it.
  const documents = Array.from({ length: 40 }, (_, rows) =>
    renderLatex({ ...resume, skills: Array(rows).fill({ name: 'Skill', keywords: ['one', 'two'] }) }, { typeface }),
  )
  const document = documents.findLast(({ pages }) => pages === 1) as LatexDocument
  expect(document.leftOut).toBe(0)
  expect(await countPages(await compile(document.tex))).toBe(1)
  expect(await countPages(await compile(withAir(document.tex, 0)))).toBe(2)
})

it('gives a page that is not full more room between the parts, and takes no page more for it', async () => {
  const { tex, pages } = renderLatex(await untailored(career(2, 3)), { typeface })
  expect(pages).toBe(1)
  const [airy, plain] = await Promise.all([tex, withAir(tex, 0)].map(async (each) => rowsOf(await compile(each))))
  expect(airy?.map(({ text }) => text)).toEqual(plain?.map(({ text }) => text))
  expect(airy?.at(-1)?.y).toBeLessThan((plain?.at(-1)?.y ?? 0) - 20)
})

it('ends no bullet in a row of one short word', async () => {
  const highlights = Array.from(
    { length: 25 },
    (_, index) => `Bullet ${'of some more words '.repeat(4)}${'n'.repeat(index)} ox`,
  )
  const resume = await untailored(Profile.parse({ basics: { name: 'A' }, work: [{ name: 'N', highlights }] }))
  const rows = await rowsOf(await compile(renderLatex(resume, { typeface }).tex))
  const second = rows.filter(({ text }) => text.endsWith(' ox') && !text.includes('Bullet'))
  expect(second.length).toBeGreaterThan(3)
  expect(rows.map(({ text }) => text)).not.toContain('ox')
})

const withAir = (tex: string, points: number) => tex.replace(/\\resumeair=[-\d.]+pt/, `\\resumeair=${points}pt`)

/** The rows of the first page, from its top. */
async function rowsOf(pdf: Uint8Array): Promise<{ text: string; y: number }[]> {
  const document = await getDocumentProxy(new Uint8Array(pdf))
  const { items } = await (await document.getPage(1)).getTextContent()
  await document.loadingTask.destroy()
  const rows = new Map<number, string>()
  for (const item of items) {
    if (!('str' in item)) continue
    const y = Math.round(item.transform[5])
    rows.set(y, (rows.get(y) ?? '') + item.str)
  }
  return [...rows].map(([y, text]) => ({ text: text.trim(), y })).filter(({ text }) => text)
}

async function expectNobodyLeftAlone(resume: Resume): Promise<void> {
  const pdf = await getDocumentProxy(new Uint8Array(await compile(renderLatex(resume, { typeface }).tex)))
  expect(pdf.numPages).toBe(2)
  const { items } = await (await pdf.getPage(1)).getTextContent()
  const rows = items.flatMap((item) => ('str' in item && item.str.trim() ? [item.str] : []))
  await pdf.loadingTask.destroy()
  expect(rows.at(-1)).toMatch(/Bullet|moved|towns|Summary of what/)
}

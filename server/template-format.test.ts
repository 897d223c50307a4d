import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pino from 'pino'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { readToolchain } from '../ops/setup/toolchain.ts'
import { Failure } from './failure.ts'
import { prepareFormats, templateToPrepare } from './formats.ts'
import { renderLatex, TEMPLATE } from './latex.ts'
import { SPECIMEN } from './specimen.ts'
import type { Resume } from './tailor.ts'
import { Tectonic } from './tectonic.ts'
import { NoFormat, preambleOf, type TemplateFormat, templateFormat } from './template-format.ts'
import { type Typeface, typefaceOf } from './typeface.ts'

const resume: Resume = {
  ...{ summary: 'Builds engines.', projects: [], education: [], skills: [], certificates: [], languages: [] },
  basics: { name: 'Ada Quill', label: 'Engineer' },
  work: [
    { name: 'Northwind', highlights: ['Ran Kafka for 12 teams.'] },
    { name: 'Contoso', highlights: ['Wrote the first notes.'] },
  ],
  keywords: { matched: 0, total: 0 },
}
const log = pino({ level: 'silent' })
const toolchain = await readToolchain()

let folder: string
let format: TemplateFormat
let typeface: Typeface

beforeAll(async () => {
  typeface = await typefaceOf(tectonic(undefined), TEMPLATE)
  folder = await mkdtemp(join(tmpdir(), 'pass-ats-formats-'))
  format = await templateFormat(toolchain, await templateToPrepare(toolchain, TEMPLATE), [folder])
}, 300_000)
afterAll(() => rm(folder, { recursive: true }))

function tectonic(made: TemplateFormat | undefined): Tectonic {
  return new Tectonic({ toolchain, format: Promise.resolve(made), timeoutMs: 20_000, concurrency: 2, queueLimit: 2 })
}

async function failureOf(compiling: Promise<unknown>): Promise<Failure> {
  const outcome = await compiling.catch((error: unknown) => error)
  if (outcome instanceof Failure) return outcome
  throw new Error('expected a Failure', { cause: outcome })
}

async function reasonOf(making: Promise<unknown>): Promise<NoFormat> {
  const outcome = await making.catch((error: unknown) => error)
  if (outcome instanceof NoFormat) return outcome
  throw new Error('expected NoFormat', { cause: outcome })
}

const ownTemplate = (preamble: string) => ({
  text: `${preamble}\\begin{document}\n@BODY@\n\\end{document}\n`,
  specimen: `${preamble}\\begin{document}\nspecimen\n\\end{document}\n`,
  narrow: false,
})

it('gives the same PDF, byte for byte, as reading the template does', async () => {
  for (const each of [resume, SPECIMEN]) {
    const { tex } = renderLatex({ ...each, basics: { ...each.basics, name: 'Ada Quill' } }, { typeface })
    const [quick, slow] = await Promise.all(
      [format, undefined].map((made) =>
        tectonic(made)
          .compile(tex, { trust: 'own' })
          .catch((error: Failure) => error),
      ),
    )
    // The specimen has characters that no font may have: then both have to say so.
    if (slow instanceof Failure) expect(quick).toMatchObject({ code: slow.code, detail: slow.detail })
    else expect(quick).toMatchObject({ pdf: slow?.pdf, passes: 1 })
  }
})

it('comes with a bundle of a few files, each of them a file', async () => {
  const entries = await readdir(format.bundle, { withFileTypes: true })
  expect(entries.every((entry) => entry.isFile())).toBe(true)
  expect(entries.length).toBeGreaterThan(5)
  expect(entries.length).toBeLessThan(150)
})

it('is made once, and found from then on', async () => {
  const made = (await stat(format.texCache)).ctimeMs
  const again = await templateFormat(toolchain, await templateToPrepare(toolchain, TEMPLATE), ['/nowhere', folder])
  expect(again).toEqual(format)
  expect((await stat(again.texCache)).ctimeMs).toBe(made)
  expect((await readdir(folder)).filter((name) => name.startsWith('.'))).toEqual([])
})

it('names the field of the profile that LaTeX stopped at, by the line of the whole document', async () => {
  const { tex } = renderLatex(resume, { typeface })
  const broken = tex.replace('Wrote the first', '\\nosuch')
  const line = broken.slice(0, broken.indexOf('\\nosuch')).split('\n').length
  const fields = Array.from({ length: line + 1 }, (_, index) => (index === line ? 'work.1.highlights.0' : undefined))
  for (const made of [format, undefined]) {
    expect(await failureOf(tectonic(made).compile(broken, { trust: 'own', fields }))).toMatchObject({
      code: 'latex_invalid',
      detail: 'work.1.highlights.0: Undefined control sequence',
      latexErrorLine: line,
      latexErrorPart: 'body',
    })
    expect(await failureOf(tectonic(made).compile(broken, { trust: 'own' }))).toMatchObject({
      detail: `line ${line}: Undefined control sequence`,
      latexErrorPart: 'template',
    })
  }
})

it('names the field of the profile with a character that no font has', async () => {
  const { tex } = renderLatex(resume, { typeface })
  const line = tex.slice(0, tex.indexOf('Ran Kafka')).split('\n').length
  const fields = Array.from({ length: line + 1 }, (_, index) => (index === line ? 'work.0.highlights.0' : undefined))
  const compiling = tectonic(format).compile(tex.replace('Ran Kafka', 'Ran \u{1F680}'), { trust: 'own', fields })
  const detail = 'work.0.highlights.0: \u201c\u{1F680}\u201d (U+1F680)'
  expect(await failureOf(compiling)).toMatchObject({ code: 'unsupported_character', detail })
})

it('ends at its mark, else before the first placeholder or the document, whichever is first', () => {
  const mark = '\\csname endofdump\\endcsname % here\n'
  expect(preambleOf(`a\n${mark}b\n\\begin{document}`)).toBe(`a\n${mark}`)
  expect(preambleOf('a\n\\title{@TITLE@}\n\\begin{document}')).toBe('a\n')
  expect(preambleOf('a\nb\n\\begin{document}@BODY@')).toBe('a\nb\n')
  expect(preambleOf('\\begin{document}@BODY@')).toBeUndefined()
})

it('is made of a person’s own template, too, with all TeX files at hand', async () => {
  const template = ownTemplate('\\documentclass{article}\n\\newcommand{\\mine}{Mine.}\n')
  const made = await templateFormat(toolchain, template, [folder])
  expect(made.bundle).toBe(toolchain.bundle)
  const tex = template.text.replace('@BODY@', '\\mine{} \\usefont{TU}{lmss}{m}{n} and sans serif')
  expect((await tectonic(made).compile(tex, { trust: 'own' })).pdf.length).toBeGreaterThan(1_000)
}, 300_000)

it('is not made of what XeTeX cannot dump, of mistakes, or of nothing, and says which', async () => {
  const fontspec =
    '\\documentclass{article}\n\\usepackage{fontspec}\n\\setmainfont{lmroman10-regular.otf}\n\\sbox0{x}\n'
  for (const [preamble, reason, line] of [
    [fontspec, 'native_font', undefined],
    ['\\documentclass{article}\n\n\\nosuch\n', 'latex_error', 3],
    ['', 'no_preamble', undefined],
  ] as const) {
    expect(await reasonOf(templateFormat(toolchain, ownTemplate(preamble), [folder]))).toMatchObject({ reason, line })
  }
  const bodyFails = {
    ...ownTemplate('\\documentclass{article}\n'),
    specimen: '\\documentclass{article}\n\\begin{document}\\nosuch',
  }
  expect(await reasonOf(templateFormat(toolchain, bodyFails, [folder]))).toMatchObject({ reason: 'specimen' })
  expect((await readdir(folder)).filter((name) => name.startsWith('.'))).toEqual([])
}, 300_000)

it('is done without, in the log’s words, when a template allows none', async () => {
  const told: unknown[] = []
  const heard = { ...log, warn: (fields: unknown) => told.push(fields) } as unknown as typeof log
  const { text } = ownTemplate('\\documentclass{article}\n\n\\nosuch\n')
  expect(await prepareFormats(toolchain, text, folder, heard)).toBeUndefined()
  expect(told).toEqual([{ reason: 'latex_invalid', line: 3 }])
}, 300_000)

it('is waited for: nothing is ready, and nothing compiled, before it is there', async () => {
  const made = Promise.withResolvers<TemplateFormat | undefined>()
  const early = new Tectonic({ toolchain, format: made.promise, timeoutMs: 20_000, concurrency: 1, queueLimit: 1 })
  expect(await early.ready()).toBe(false)
  const compiling = early.compile(renderLatex(resume, { typeface }).tex, { trust: 'own' })
  made.resolve(format)
  expect((await compiling).passes).toBe(1)
  expect(await early.ready()).toBe(true)
})

it('is made where set-up has made none, and so is LaTeX’s own', async () => {
  const texCache = join(folder, 'empty-cache')
  const own = join(folder, 'own')
  const bare = { ...toolchain, texCache, formats: '/nowhere' }
  const made = await prepareFormats(bare, TEMPLATE, own, log)
  expect(made?.texCache.startsWith(own)).toBe(true)
  expect((await readdir(join(texCache, 'formats'))).join()).toMatch(/-latex-/)
  // What is not ours to write in is no reason to fail.
  await writeFile(join(folder, 'a-file'), '')
  expect(await prepareFormats(bare, TEMPLATE, join(folder, 'a-file', 'none'), log)).toBeUndefined()
}, 300_000)

it('is done without when somebody has removed it', async () => {
  const gone = { ...(format as TemplateFormat), texCache: join(folder, 'gone') }
  const server = new Tectonic({
    toolchain,
    format: Promise.resolve(gone),
    timeoutMs: 60_000,
    concurrency: 1,
    queueLimit: 1,
  })
  const { pdf } = await server.compile(renderLatex(resume, { typeface }).tex, { trust: 'own' })
  expect(Buffer.from(pdf).toString('latin1', 0, 5)).toBe('%PDF-')
}, 300_000)

it('is not waited for by a server that stops, and leaves nothing half made', async () => {
  const own = join(folder, 'stopped')
  const stop = new AbortController()
  const making = prepareFormats({ ...toolchain, formats: '/nowhere' }, TEMPLATE, own, log, stop.signal)
  await expect.poll(() => readdir(own).catch(() => [])).toEqual([expect.stringMatching(/^\.making-/)])
  stop.abort()
  expect(await making).toBeUndefined()
  expect(await readdir(own)).toEqual([])
}, 300_000)

import { expect, it } from 'vitest'
import { type Entry, gzipOf, tarOf, zipOf } from '../fixtures/latex/archives.ts'
import { MAX_FILES, MAX_UNPACKED_BYTES } from './archive.ts'
import { readCompileSource } from './compile-source.ts'
import { Failure } from './failure.ts'

const PAGE = '\\documentclass{article}\\begin{document}x\\end{document}'
const main = { name: 'main.tex', content: PAGE }

/** Both kinds of archive, the tar packed. */
async function bothOf(entries: readonly Entry[]): Promise<[string, Uint8Array][]> {
  return [
    ['zip', zipOf(entries)],
    ['tar', await tarOf(entries)],
    ['tar.gz', gzipOf(await tarOf(entries))],
  ]
}

async function failureOf(reading: Promise<unknown>): Promise<Failure> {
  const outcome = await reading.catch((error: unknown) => error)
  if (outcome instanceof Failure) return outcome
  throw new Error('expected a Failure', { cause: outcome })
}

const text = (content: Uint8Array | undefined) => Buffer.from(content ?? []).toString()

it('takes one LaTeX file, packed or not', async () => {
  for (const bytes of [Buffer.from(PAGE), gzipOf(Buffer.from(PAGE))]) {
    const { files, main } = await readCompileSource(bytes, undefined)
    expect([...files.keys(), main]).toEqual(['main.tex', 'main.tex'])
    expect(text(files.get(main))).toBe(PAGE)
  }
})

it('takes an archive of any kind, with folders, and finds its files as they were', async () => {
  const entries = [main, { name: './chapters/one.tex', content: 'Où ça?' }, { name: 'empty.bib' }]
  for (const [, bytes] of await bothOf(entries)) {
    const { files } = await readCompileSource(bytes, undefined)
    expect([...files].map(([path, content]) => [path, text(content)])).toEqual([
      ['main.tex', PAGE],
      ['chapters/one.tex', 'Où ça?'],
      ['empty.bib', ''],
    ])
  }
})

it('starts with the file that is asked for, main.tex, or the only one with a document class', async () => {
  const other = { name: 'paper/other.tex', content: PAGE }
  const part = { name: 'paper/part.tex', content: '% \\documentclass of main\nx' }
  expect((await readCompileSource(zipOf([other, main]), undefined)).main).toBe('main.tex')
  expect((await readCompileSource(zipOf([other, main]), 'paper/other.tex')).main).toBe('paper/other.tex')
  expect((await readCompileSource(zipOf([part, other]), undefined)).main).toBe('paper/other.tex')
})

it.each([
  ['nothing to start with', [{ name: 'part.tex', content: 'x' }], undefined, /none has a \\documentclass/],
  [
    'two that could be it',
    [
      { name: 'a.tex', content: PAGE },
      { name: 'b.tex', content: PAGE },
    ],
    undefined,
    /\?main=/,
  ],
  ['a name that is not there', [main], '../main.tex', /no file of the name/],
  ['a name that TeX would take amiss', [{ name: '-o.tex', content: PAGE }], undefined, /must be called/],
  ['a name that says nothing', [{ name: '.tex', content: PAGE }], '.tex', /must be called/],
])('refuses %s and says what to do', async (_, entries, asked, detail) => {
  const failure = await failureOf(readCompileSource(zipOf(entries), asked))
  expect(failure).toMatchObject({ code: 'request_invalid', status: 400 })
  expect(failure.detail).toMatch(detail)
})

it.each([
  '../out.tex',
  'a/../../out.tex',
  '/etc/passwd',
  '//out.tex',
  'a\\b.tex',
  'C:/out.tex',
  'a/./b.tex',
  'a//b.tex',
  'line\nbreak.tex',
  'bell\u0007.tex',
  `${'d/'.repeat(12)}deep.tex`,
  `${'n'.repeat(201)}.tex`,
])('refuses the name %j in any archive', async (name) => {
  for (const [kind, bytes] of await bothOf([main, { name, content: 'x' }])) {
    const failure = await failureOf(readCompileSource(bytes, undefined))
    expect(`${kind} ${failure.code}`).toBe(`${kind} request_invalid`)
  }
})

it('refuses what is there twice, and a file that is a folder, too', async () => {
  for (const twice of ['main.tex', './main.tex', 'main.tex/part.tex']) {
    for (const [, bytes] of await bothOf([main, { name: twice, content: 'other' }])) {
      const failure = await failureOf(readCompileSource(bytes, undefined))
      expect(failure.code).toBe('request_invalid')
      expect(failure.detail).toMatch(/is there twice/)
    }
  }
})

it('refuses links and devices', async () => {
  for (const type of ['symlink', 'link', 'character-device', 'fifo'] as const) {
    const tar = await tarOf([main, { name: 'figure.pdf', type, linkname: '/etc/passwd' }])
    expect((await failureOf(readCompileSource(tar, undefined))).detail).toMatch(/“figure.pdf” is no file but a/)
  }
  for (const mode of [0o120_777, 0o020_666, 0o010_644]) {
    const zip = zipOf([main, { name: 'figure.pdf', content: '/etc/passwd', mode }])
    expect((await failureOf(readCompileSource(zip, undefined))).detail).toMatch(/“figure.pdf” is no file but a/)
  }
})

it('refuses what unpacks to more than is allowed, before it is unpacked', async () => {
  const zeros = Buffer.alloc(MAX_UNPACKED_BYTES)
  for (const [kind, bytes] of await bothOf([main, { name: 'zeros', content: zeros }])) {
    const failure = await failureOf(readCompileSource(bytes, undefined))
    expect(`${kind} ${failure.code} ${failure.status}`).toBe(`${kind} request_too_large 413`)
    expect(failure.detail).toMatch(/16 MiB/)
  }
  const bomb = gzipOf(Buffer.alloc(64 * 1024 * 1024))
  expect(bomb.length).toBeLessThan(100_000)
  expect((await failureOf(readCompileSource(bomb, undefined))).code).toBe('request_too_large')
})

it('refuses a zip that lies about what it holds', async () => {
  for (const claims of [1, PAGE.length + 1]) {
    const zip = zipOf([{ ...main, content: PAGE.repeat(100), claims }])
    expect((await failureOf(readCompileSource(zip, undefined))).code).toBe('request_invalid')
  }
})

it('refuses more files than are allowed', async () => {
  const entries = Array.from({ length: MAX_FILES }, (_, index) => ({ name: `${index}.txt` }))
  for (const [kind, bytes] of await bothOf([main, ...entries])) {
    const failure = await failureOf(readCompileSource(bytes, undefined))
    expect(`${kind} ${failure.code}`).toBe(`${kind} request_too_large`)
  }
  for (const [, bytes] of await bothOf([main, ...entries.slice(1)])) {
    expect((await readCompileSource(bytes, undefined)).files.size).toBe(MAX_FILES)
  }
})

it('refuses what is no archive, is cut off, or is empty', async () => {
  const [zip, tar] = [zipOf([main]), await tarOf([main])]
  for (const bytes of [
    Buffer.from('hello'),
    Buffer.alloc(0),
    zip.subarray(0, zip.length - 10),
    zip.subarray(0, 40),
    tar.subarray(0, 530),
    gzipOf(tar).subarray(0, 60),
    zipOf([]),
    gzipOf(Buffer.alloc(0)),
  ]) {
    expect((await failureOf(readCompileSource(bytes, undefined))).code).toBe('request_invalid')
  }
})

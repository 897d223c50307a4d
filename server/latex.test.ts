import { beforeAll, expect, it } from 'vitest'
import { readToolchain } from '../ops/setup/toolchain.ts'
import { type RenderOptions, renderLatex, TEMPLATE } from './latex.ts'
import type { Profile } from './request-contract.ts'
import type { Resume } from './tailor.ts'
import { Tectonic } from './tectonic.ts'
import { type Typeface, typefaceOf } from './typeface.ts'

const resume: Resume = {
  basics: { name: 'Zoë Quill', email: 'zoe@quill.example', url: 'https://quill.example/~zoe/100%25_x#me' },
  summary: 'Builds & runs.',
  work: [{ name: 'R&D {Labs}', position: 'Engineer', startDate: '2019-03', highlights: ['Saved $2M (40 %) in C#'] }],
  projects: [],
  education: [{ institution: 'Uni', studyType: 'BSc', area: 'Maths', endDate: '2018', score: 'A' }],
  skills: [{ name: 'Languages', keywords: ['C#', 'snake_case'] }],
  certificates: [],
  languages: [],
  keywords: { matched: 0, total: 0 },
}
let typeface: Typeface

beforeAll(async () => {
  const toolchain = await readToolchain()
  const tectonic = new Tectonic({ toolchain, timeoutMs: 30_000, concurrency: 1, queueLimit: 1 })
  typeface = await typefaceOf(tectonic, TEMPLATE)
})

const render = (changes: Partial<Resume> = {}, options: Partial<RenderOptions> = {}) =>
  renderLatex({ ...resume, ...changes }, { typeface, ...options })
const hex = (text: string) => Buffer.from(text, 'ascii').toString('hex')
const printed = (text: RegExp, changes: Partial<Resume>) =>
  expect(render(changes).mustContain.join('\n').replaceAll('\u00a0', ' ')).toMatch(text)

it('leaves out sections that would be empty, and names the rest in reading order', () => {
  const { mustContain, outline } = render()
  expect(mustContain.map((text) => text.replaceAll('\u00a0', ' '))).toEqual([
    'Zoë Quill',
    'zoe@quill.example',
    'quill.example/~zoe/100%25_x#me',
    'Summary',
    'Builds & runs.',
    'Experience',
    'Engineer',
    'R&D {Labs}',
    'Mar 2019 – Present',
    'Saved $2M (40 %) in C#',
    'Education',
    'BSc, Maths',
    'Uni',
    'A',
    '2018',
    'Skills',
    'Languages',
    ': C#, snake_case',
  ])
  expect(outline).toEqual(['Summary', 'Experience', 'Education', 'Skills'])
})

it('links to http, https, mail and telephone, and to nothing else', () => {
  const { tex, links } = render({
    basics: { ...resume.basics, phone: '+1 (206) 555-0173', profiles: [{ url: 'javascript:alert(1)' }, { url: 'x' }] },
    work: [{ name: 'N', url: 'https://n.example', highlights: [] }],
  })
  expect(links).toEqual([
    'mailto:zoe@quill.example',
    'tel:+12065550173',
    'https://quill.example/~zoe/100%25_x#me',
    'https://n.example/',
  ])
  expect(tex).toContain(`\\link{${hex('https://quill.example/~zoe/100%25_x#me')}}`)
  expect(tex).not.toContain(hex('javascript'))
  const numbers = ['ask me', '555 0173 or 555 0174 or 555 0175', '12']
  for (const phone of numbers) expect(render({ basics: { name: 'A', phone } }).links).toEqual([])
})

it('takes `$&` in somebody\u2019s text for text', () => {
  expect(render({ summary: 'Earned $& and $1' }).tex).toContain('Earned \\$\\& and \\$1')
})

it.each([
  ['2019', undefined, '2019 – Present'],
  ['2019-03', undefined, 'Mar 2019 – Present'],
  ['2019-03-31', '2020-12-01', 'Mar 2019 – Dec 2020'],
  [undefined, '2020-12', 'Dec 2020'],
  ['2019', '2019', '2019'],
  ['2019-13', '2020-00', '2019 – 2020'],
])('prints a job from %s to %s as %s', (startDate, endDate, period) => {
  const { mustContain } = render({ work: [{ name: 'N', startDate, endDate, highlights: [] }] })
  expect(mustContain.map((text) => text.replaceAll('\u00a0', ' '))).toContain(period)
})

it('prints every part of a profile', () => {
  printed(/Volunteering\nHelper\nRed Cross\n2019 – Present\nWhy\nDid it/, {
    volunteer: [
      { organization: 'Red Cross', position: 'Helper', startDate: '2019', summary: 'Why', highlights: ['Did it'] },
    ],
  })
  printed(/Awards\nPrize\nJury\nNov 2023\nFor all/, {
    awards: [{ title: 'Prize', awarder: 'Jury', date: '2023-11-03', summary: 'For all' }],
  })
  printed(/Publications\nOn kelp\nKelp Days\nMar 2021\nShort/, {
    publications: [{ name: 'On kelp', publisher: 'Kelp Days', releaseDate: '2021-03', summary: 'Short' }],
  })
  printed(/Interests\nBoats \(clinker, carvel\), Choir/, {
    interests: [{ name: 'Boats', keywords: ['clinker', 'carvel'] }, { name: 'Choir' }],
  })
  printed(/References\nDr Okke\n: “Yes.”/, { references: [{ name: 'Dr Okke', reference: '“Yes.”' }] })
  printed(/Projects\nkelp\nLead, Cook\nInstitute\nkelp.example\n2021\nCounts\nDone\nKeywords: R, Go/, {
    projects: [
      {
        ...{ name: 'kelp', roles: ['Lead', 'Cook'], entity: 'Institute', url: 'https://kelp.example/' },
        ...{ startDate: '2021', endDate: '2021', description: 'Counts', highlights: ['Done'], keywords: ['R', 'Go'] },
      },
    ],
  })
  printed(/Weg 7, 24143 Kiel, Holstein, DE/, {
    basics: {
      name: 'A',
      location: { address: 'Weg 7', postalCode: '24143', city: 'Kiel', region: 'Holstein', countryCode: 'DE' },
    },
  })
  printed(/Courses: Diving, Statistics/, { education: [{ institution: 'U', courses: ['Diving', 'Statistics'] }] })
  printed(/Web\n\(Master\): HTML/, { skills: [{ name: 'Web', level: 'Master', keywords: ['HTML'] }] })
})

it('shows the education first of those who have not worked yet', () => {
  expect(render({ work: [] }).outline).toEqual(['Summary', 'Education', 'Skills'])
})

it('sets what Latin Modern lacks in the family that has it', () => {
  expect(render({ summary: 'Привет, x ≥ 3 ₽' }).tex).toContain(
    '\\note{\\from{wide}{Привет}, x \\from{math}{≥} 3~\\from{more}{₽}}',
  )
})

it.each(['日本', 'שלום', 'مرحبا', 'हिन्दी', 'ไทย'])(
  'names the field that has characters such as those of %s',
  (text) => {
    const profile = { basics: { name: 'A' }, work: [{ name: 'N' }, { name: 'N', highlights: ['x', `Wrote ${text}`] }] }
    const work = [
      { name: 'N', highlights: [] },
      { name: 'N', highlights: [`Wrote ${text}`] },
    ]
    const code = text.codePointAt(0)?.toString(16).toUpperCase().padStart(4, '0')
    expect(() => render({ work }, { profile: profile as Profile })).toThrow(
      expect.objectContaining({
        code: 'unsupported_character',
        detail: expect.stringMatching(new RegExp(`^“.+” \\(U\\+${code}\\) in work\\[1\\]\\.highlights\\[1\\]$`)),
      }),
    )
  },
)

it('knows of each line which field it is of', () => {
  const { tex, fields } = render()
  const lines = tex.split('\n')
  const lineOf = (text: string) => lines.findIndex((line) => line.includes(text)) + 1
  expect(fields[lineOf('Saved')]).toBe('work[0].highlights')
  expect(fields[lineOf('R\\&D')]).toBe('work[0]')
  expect(fields[lineOf('Builds')]).toBe('basics.summary')
  expect(fields[lineOf('\\begin{document}')]).toBeUndefined()
})

it('tells the language it is in', () => {
  expect(render().language).toBe('en')
  expect(render({ summary: 'Сократила расчёт с шести часов и ввела новые правила' }).language).toBe('ru')
})

import { expect, it } from 'vitest'
import { escapeLatex, printable, renderLatex } from './latex.ts'
import type { Resume } from './tailor.ts'

const resume: Resume = {
  basics: { name: 'Zoë Quill', email: 'zoe@quill.example', url: 'https://quill.example/~zoe/100%25_x#me' },
  summary: 'Builds & runs.',
  work: [{ name: 'R&D {Labs}', position: 'Engineer', startDate: '2019-03', highlights: ['Saved $2M (40 %) in C#'] }],
  projects: [],
  education: [{ institution: 'Uni', studyType: 'BSc', area: 'Maths', endDate: '2018' }],
  skills: [{ name: 'Languages', keywords: ['C#', 'snake_case'] }],
  certificates: [],
  languages: [],
  keywords: { matched: 0, total: 0 },
}

it('escapes the ten characters that mean something to TeX', () => {
  expect(escapeLatex('\\ { } $ & # % _ ^ ~')).toBe(
    '\\textbackslash{} \\{ \\} \\$ \\& \\# \\% \\_ \\textasciicircum{} \\textasciitilde{}',
  )
})

it('escapes once: what an escape puts in is not escaped again', () => {
  expect(escapeLatex('\\{')).toBe('\\textbackslash{}\\{')
})

it('removes what prints nothing and may hide something', () => {
  expect(printable('a\u200bb\u202ec\u0000d\ne\ufeff f\u0301')).toBe('abcd e f\u0301'.normalize('NFC'))
})

it('leaves out sections that would be empty, and names the rest in reading order', () => {
  const { tex, mustContain } = renderLatex(resume)
  expect(mustContain).toEqual([
    'Zoë Quill',
    'Summary',
    'Builds & runs.',
    'Experience',
    'Engineer',
    'R&D {Labs}',
    'Saved $2M (40 %) in C#',
    'Education',
    'BSc, Maths',
    'Uni',
    'Skills',
    'Languages',
  ])
  expect(tex).not.toContain('\\section{Projects}')
  expect(tex).toContain('Mar~2019~–~Present')
})

it('links only to http, https and mailto', () => {
  const linked = renderLatex({ ...resume, basics: { name: 'A', url: 'javascript:alert(1)' } })
  expect(linked.tex).not.toContain('\\href{javascript')
  expect(renderLatex(resume).tex).toContain('\\href{https://quill.example/\\~zoe/100\\%25\\_x\\#me}')
})

it('takes `$&` in somebody\u2019s text for text', () => {
  const { tex } = renderLatex({ ...resume, summary: 'Earned $& and $1' })
  expect(tex).toContain('Earned \\$\\& and \\$1')
})

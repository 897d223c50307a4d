import { expect, it } from 'vitest'
import { clusters, escapeLatex, printable } from './printable.ts'

it('escapes the ten characters that mean something to TeX', () => {
  expect(escapeLatex('\\ { } $ & # % _ ^ ~')).toBe(
    '\\textbackslash{} \\{ \\} \\$ \\& \\# \\% \\_ \\textasciicircum{} \\textasciitilde{}',
  )
})

it('escapes once: what an escape puts in is not escaped again', () => {
  expect(escapeLatex('\\{')).toBe('\\textbackslash{}\\{')
})

it('removes what prints nothing and may hide something', () => {
  expect(printable('a\u200bb\u202ec\u0000d\ne\ufeff f\u0301')).toBe('abcd e f\u0301')
})

it('removes pictures, and leaves signs that are letters\u2019 neighbours', () => {
  expect(printable('✅ Led 👍🏽 the 🇩🇪 team 1\ufe0f\u20e3 ™ © ✓ ★')).toBe('Led the team 1 ™ © ✓ ★')
})

it('composes marks, keeps those that readers read, and removes the others', () => {
  expect(printable('Vie\u0323\u0302t')).toBe('Việt')
  expect(printable('O\u0323lo\u0323\u0301run')).toBe('Ọlọ\u0301run')
  expect(printable('ọ\u0304ȩ ọ\u0304e')).toBe('ọȩ ọ\u0304e')
  expect(printable('а\u0301 x\u20dd \u0301x z\u0335\u0336\u0337')).toBe('а x x z')
})

it('gives the letters for ligatures, and a slash for the one that is read with a space', () => {
  expect(printable('Certi\ufb01ed o\ufb03ce 1\u22152')).toBe('Certified office 1/2')
})

it('takes a letter and its mark for one', () => {
  expect(clusters('ọ\u0301a')).toEqual(['ọ\u0301', 'a'])
})

import { beforeAll, expect, it } from 'vitest'
import { readToolchain } from '../ops/setup/toolchain.ts'
import { TEMPLATE } from './latex.ts'
import { Tectonic } from './tectonic.ts'
import { typefaceOf, unprintable } from './typeface.ts'

let tectonic: Tectonic
beforeAll(async () => {
  tectonic = new Tectonic({ toolchain: await readToolchain(), timeoutMs: 30_000, concurrency: 1, queueLimit: 8 })
})

it('knows what the fonts have, each character in the first that has it', async () => {
  const { familyOf } = await typefaceOf(tectonic, TEMPLATE)
  const families = Array.from('aệжλ≥₽☎').map((each) => familyOf(each, false))
  expect(families).toEqual(['text', 'text', 'wide', 'wide', 'math', 'more', 'sign'])
  expect(familyOf('日', false)).toBeUndefined()
  expect(familyOf('ש', false)).toBeUndefined()
})

it('measures what TeX measures', async () => {
  const { width, room } = await typefaceOf(tectonic, TEMPLATE)
  // Widths of Latin Modern Roman 10: m 8.33 pt, i 2.78 pt, a space 3.33 pt.
  expect(width('mi mi', false)).toBeCloseTo(2 * (8.33 + 2.78) + 3.33, 1)
  expect(width('m', true)).toBeGreaterThan(width('m', false))
  expect(room).toMatchObject({ line: 12, note: 12 })
  expect(room.textWidth).toBeCloseTo(((210 - 38) / 25.4) * 72.27, 1)
})

it('measures a template once, and again after it failed', async () => {
  const broken = TEMPLATE.replace('@BODY@', '\\undefinedthing @BODY@')
  const failing = typefaceOf(tectonic, broken)
  await expect(failing).rejects.toMatchObject({ code: 'latex_invalid' })
  expect(typefaceOf(tectonic, broken)).not.toBe(failing)
  expect(typefaceOf(tectonic, TEMPLATE)).toBe(typefaceOf(tectonic, TEMPLATE))
})

it('finds the first character that nothing prints, with its mark', async () => {
  const typeface = await typefaceOf(tectonic, TEMPLATE)
  expect(unprintable('Wrote ก็ and 日', false, typeface)).toBe('ก็')
  expect(unprintable('Wrote “all”, 40 %', true, typeface)).toBeUndefined()
})

/**
 * What the template's fonts can print, and how much room everything takes: measured by TeX itself, from the template
 * itself, once. So no table of widths can be out of date, and another template is measured as well as ours.
 */

import { context, ROOT_CONTEXT } from '@opentelemetry/api'
import { suppressTracing } from '@opentelemetry/core'
import { Failure } from './failure.ts'
import { clusters } from './printable.ts'
import type { Tectonic } from './tectonic.ts'

/** The template's font families; each is asked for what those before it lack. */
const FAMILIES = ['text', 'wide', 'math', 'more', 'sign'] as const
export type Family = (typeof FAMILIES)[number]

/**
 * Latin, Greek, Cyrillic, Armenian; Georgian; Vietnamese and old Greek; punctuation, currencies, arrows, formulas, signs.
 * Nothing that is written from right to left or changes its shape within a word: the fonts have some of it, and would
 * print it wrong.
 */
const RANGES = [
  [0x20, 0x590],
  [0x10a0, 0x1100],
  [0x1e00, 0x2000],
  [0x2010, 0x2800],
  [0x2c60, 0x2c80],
] as const

/** Room in points, as the template has it: how much a line of a kind adds below what stands before it. */
const SAMPLES = {
  entry: String.raw`\entry{x}`,
  headed: String.raw`\heading{}{x}\entry{x}`,
  note: String.raw`\note{x}`,
  bullets: String.raw`\begin{itemize}\item x\end{itemize}`,
  moreBullets: String.raw`\begin{itemize}\item x${'\n'}\item x\end{itemize}`,
  headline: String.raw`\headline{x}`,
  contact: String.raw`\contact{x}`,
  name: String.raw`\name{x}`,
} as const
type Sample = keyof typeof SAMPLES
/** Points of air that everything is measured with once more: what it takes with less or more goes in proportion. */
const TRIED_AIR = 4
const SIZES = { textWidth: '\\textwidth', textHeight: '\\textheight', line: '\\baselineskip', indent: '\\leftmargini' }

export interface Typeface {
  /** The first family that has the character; undefined when none does. */
  familyOf(character: string, bold: boolean): Family | undefined
  /** Width of a text on one line, points at the text's size; what cannot be printed counts nothing. */
  width(text: string, bold: boolean): number
  room: Room
  /** The room that the template has with so many points of `\resumeair`; always the same of a template that knows none. */
  roomWith(air: number): Room
}

export type Room = Record<Sample | keyof typeof SIZES, number>

const measured = new WeakMap<Tectonic, Map<string, Promise<Typeface>>>()

/**
 * The typeface of a template, measured the first time it is asked for: at the server's start, so that no run waits for
 * it. Throws what {@link measureTypeface} throws, and measures again the next time.
 */
export function typefaceOf(tectonic: Tectonic, template: string): Promise<Typeface> {
  const known = measured.get(tectonic) ?? new Map<string, Promise<Typeface>>()
  measured.set(tectonic, known)
  // Not traced: it belongs to no run, though one may be the first to ask.
  const measure = () => context.with(suppressTracing(ROOT_CONTEXT), () => measureTypeface(tectonic, template))
  const typeface = known.get(template) ?? measure()
  known.set(template, typeface)
  typeface.catch(() => known.delete(template))
  return typeface
}

/**
 * Measures the fonts that `template` declares, by compiling it once with a body that prints numbers.
 * Throws the failures of {@link Tectonic.compile}, and Failure('internal') when the template declares no such fonts.
 */
async function measureTypeface(tectonic: Tectonic, template: string): Promise<Typeface> {
  const tex = template.replace('@BODY@', () => MEASURE)
  const { log } = await tectonic.compile(tex, { trust: 'own' })
  const points = (scaled: string | undefined) => Number(scaled) / 65_536
  const glyphs = { m: new Map<string, Glyph>(), bx: new Map<string, Glyph>() }
  for (const [, family, series, code, width] of log.matchAll(/^@(\d) (m|bx) (\d+) (-?\d+)$/gm)) {
    const glyph = { family: FAMILIES[Number(family)] as Family, width: points(width) }
    glyphs[series as 'm' | 'bx'].set(String.fromCodePoint(Number(code)), glyph)
  }
  const room = Object.fromEntries([...log.matchAll(/^@(\w+)=(-?\d+)$/gm)].map(([, key, size]) => [key, points(size)]))
  if (glyphs.m.size === 0 || !room.textWidth) throw new Failure('internal', { reason: 'typeface_not_measured' })
  const taken = (key: string) => (room[key] ?? 0) - (room.base ?? 0)
  const takenWithAir = (key: string) => (room[`${key}Air`] ?? 0) - (room.baseAir ?? 0)
  const roomWith = (air: number): Room => ({
    ...(room as Record<keyof typeof SIZES, number>),
    ...(Object.fromEntries(
      Object.keys(SAMPLES).map((key) => [key, taken(key) + (air / TRIED_AIR) * (takenWithAir(key) - taken(key))]),
    ) as Record<Sample, number>),
  })
  const space = glyphs.m.get(' ')?.width ?? 0
  const glyphOf = (character: string, bold: boolean) => glyphs[bold ? 'bx' : 'm'].get(character)
  return {
    familyOf: (character, bold) => glyphOf(character, bold)?.family ?? (character === '\u00a0' ? 'text' : undefined),
    // Spaces are as wide as the template's \spaceskip, whatever the font: those of the regular text.
    width: (text, bold) =>
      Array.from(text).reduce(
        (sum, each) => sum + (/[ \u00a0]/.test(each) ? space : (glyphOf(each, bold)?.width ?? 0)),
        0,
      ),
    room: roomWith(0),
    roomWith,
  }
}

interface Glyph {
  family: Family
  width: number
}

/** Sets how much air the template gives; nothing where it knows none. */
export const airTex = (points: number) => `\\ifdefined\\resumeair\\resumeair=${points}pt\\fi`

/** The first character of a text that no font has, with the marks on it. */
export function unprintable(text: string, bold: boolean, typeface: Typeface): string | undefined {
  return clusters(text).find((cluster) => Array.from(cluster).some((each) => !typeface.familyOf(each, bold)))
}

function measureSamples(suffix: string): string[] {
  return Object.entries({ base: '', ...SAMPLES }).map(
    ([key, sample]) =>
      `\\setbox0\\vbox{\\entry{x}${sample}\\entry{x}}\\immediate\\write16{@${key}${suffix}=\\number\\dimexpr\\ht0+\\dp0\\relax}`,
  )
}

// Lines of TeX's log end at 79 characters: one number a line, and short.
const MEASURE = [
  '\\makeatletter',
  ...['m', 'bx'].flatMap((series) => [
    '{',
    ...FAMILIES.map(
      (family) =>
        `\\fontfamily{${family}}\\fontseries{${series}}\\selectfont\\expandafter\\let\\csname F${family}\\expandafter\\endcsname\\the\\font`,
    ),
    // Asked of each font in turn, innermost last.
    `\\def\\asked{${FAMILIES.reduceRight(
      (rest, family, index) =>
        `\\iffontchar\\F${family}\\count@\\immediate\\write16{@${index} ${series} \\number\\count@\\space\\number\\fontcharwd\\F${family}\\count@}\\else${rest}\\fi`,
      '',
    )}}`,
    ...RANGES.map(
      ([from, to]) => `\\count@=${from}\\relax\\loop\\asked\\advance\\count@ 1 \\ifnum\\count@<${to} \\repeat`,
    ),
    '}',
  ]),
  ...Object.entries(SIZES).map(([key, size]) => `\\immediate\\write16{@${key}=\\number${size}}`),
  // Below an entry, because the first thing of a page has no room above it; and above one, for the room below lists.
  ...measureSamples(''),
  airTex(TRIED_AIR),
  ...measureSamples('Air'),
  'x',
].join('\n')

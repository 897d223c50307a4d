/** Stage `latex`: a resume becomes LaTeX, one line of the resume a line, every character of it escaped. */

import { readFileSync } from 'node:fs'
import { trace } from '@opentelemetry/api'
import { METRICS } from '../metric-names.ts'
import { histogram } from '../metrics.ts'
import { ATTR_BULLETS_LEFT_OUT, ATTR_LATEX_LENGTH } from '../names.ts'
import { isSynthetic } from '../synthetic.ts'
import { Failure } from './failure.ts'
import { announces, chooseLines, needsBreaks, withCompany } from './fit.ts'
import { languageOf } from './language.ts'
import { type Fit, type Line, linesOf, type Run } from './lines.ts'
import { clusters, escapeLatex, printable } from './printable.ts'
import { fieldWith } from './profile-field.ts'
import type { Profile } from './request-contract.ts'
import type { Resume } from './tailor.ts'
import { airTex, type Typeface, unprintable } from './typeface.ts'

const duration = histogram(METRICS.latexDuration)

/** The template that comes with the server. `@BODY@` is filled in. */
export const TEMPLATE = readFileSync(new URL('./resume.tex', import.meta.url), 'utf8')

/** A document, and what a reader must find in it. */
export interface LatexDocument {
  tex: string
  /** Names, section titles, employers, dates, bullets: everything that is printed, in reading order. */
  mustContain: string[]
  /** Addresses that can be followed, in reading order. */
  links: string[]
  /** Section titles, as the outline has them. */
  outline: string[]
  title: string
  /** BCP 47. */
  language: string
  /** Field of the profile by line of `tex`, counted from 1; undefined for lines that are the template's. */
  fields: (string | undefined)[]
  /** Pages, as far as can be reckoned before it is typeset. */
  pages: number
  /** Bullets and remarks that were left out for want of room. */
  leftOut: number
}

export interface RenderOptions {
  typeface: Typeface
  template?: string
  /** Where the resume is from, to name the field a character stands in. */
  profile?: Profile
  /** How well a bullet fits the posting: when there is no room for all, the best stay. */
  fitOf?: Fit
  /** Room to leave empty, points. */
  spare?: number
}

/**
 * Renders the resume on at most two pages. Throws Failure unsupported_character, naming field and character, or
 * resume_too_long, and no other for what a valid profile may hold.
 */
export function renderLatex(resume: Resume, options: RenderOptions): LatexDocument {
  const beganAt = performance.now()
  let outcome: 'ok' | 'failed' = 'failed'
  try {
    const document = render(resume, options)
    outcome = 'ok'
    return document
  } finally {
    const template = (options.template ?? TEMPLATE) === TEMPLATE ? 'resume' : 'own'
    duration.observe({ template, outcome, synthetic: isSynthetic() }, (performance.now() - beganAt) / 1_000)
  }
}

function render(
  resume: Resume,
  { typeface, template = TEMPLATE, profile, fitOf, spare = 0 }: RenderOptions,
): LatexDocument {
  const all = linesOf(resume, fitOf).map((line) => withCompany(line, typeface))
  const { lines, pages, air, breakBefore, leftOut } = chooseLines(all, typeface, spare)
  const name = printable(resume.basics.name)
  const title = `Resume of ${name}`
  const language = languageOf(all.flatMap((line) => (isProse(line) ? [textOf(line.runs)] : [])).join('\n'))
  const body: { tex: string; field?: string }[] = [
    { tex: `\\describe{${pdfText(title)}}{${pdfText(name)}}{${language}}` },
    { tex: airTex(air) },
    ...lines.flatMap((line, index) => {
      const [previous, next] = [lines[index - 1], lines[index + 1]]
      return [
        ...(line === breakBefore ? [{ tex: '\\newpage' }] : []),
        ...(line.kind === 'bullet' && previous?.kind !== 'bullet' ? [{ tex: '\\begin{itemize}' }] : []),
        { tex: texOf(line, next, typeface, profile), field: line.field },
        ...(line.kind === 'bullet' && next?.kind !== 'bullet' ? [{ tex: '\\end{itemize}' }] : []),
      ]
    }),
  ]
  const [before = '', ...after] = template.split('@BODY@')
  const tex = [before, ...after].join(body.map((line) => line.tex).join('\n'))
  const fields: (string | undefined)[] = []
  const firstLine = before.split('\n').length
  for (const [index, { field }] of body.entries()) fields[firstLine + index] = field
  trace.getActiveSpan()?.setAttributes({ [ATTR_LATEX_LENGTH]: tex.length, [ATTR_BULLETS_LEFT_OUT]: leftOut })
  return {
    tex,
    mustContain: lines.flatMap(({ runs }) => runs.filter(({ isBar }) => !isBar).map(({ text }) => text.trim())),
    links: lines.flatMap(({ runs }) => runs.flatMap(({ href }) => (href ? [uri(href)] : []))),
    outline: lines.flatMap(({ kind, runs }) => (kind === 'heading' ? [textOf(runs)] : [])),
    title,
    language,
    fields,
    pages,
    leftOut,
  }
}

/** Names of people, places and tools are of no language. */
const isProse = ({ kind, field }: Line) =>
  kind === 'bullet' || kind === 'headline' || (kind === 'note' && !/^(skills|languages)/.test(field))

const textOf = (runs: readonly Run[]) => runs.map(({ text }) => text).join('')

function texOf(line: Line, next: Line | undefined, typeface: Typeface, profile: Profile | undefined): string {
  const inside = line.runs.map((run) => runTex(run, line, typeface, profile)).join('')
  switch (line.kind) {
    case 'bullet':
      // \item{} and not \item: a bullet that opens with a bracket would be taken for its optional argument.
      return `\\item{} ${inside}`
    case 'heading':
      return `\\heading{${pdfText(textOf(line.runs))}}{${inside}}`
    default:
      return `\\${line.kind}{${inside}}${announces(line, next) ? '\\nopagebreak' : ''}`
  }
}

function runTex(
  { text, bold = false, href, isBar }: Run,
  line: Line,
  typeface: Typeface,
  profile: Profile | undefined,
): string {
  if (isBar) return '\\bars{}'
  const isBold = bold || line.kind === 'name' || line.kind === 'heading'
  const unknown = unprintable(text, isBold, typeface)
  if (unknown) {
    const code = unknown.codePointAt(0)?.toString(16).toUpperCase().padStart(4, '0')
    const field = (profile && fieldWith(profile, unknown, line.field)) ?? line.field
    throw new Failure('unsupported_character', { detail: `“${unknown}” (U+${code}) in ${field}` })
  }
  // Split with the spaces kept: only a word that no row could hold is broken, and readers then see two.
  const tex = text
    .split(/( )/)
    .map((word) => wordTex(word, isBold, line, typeface))
    .join('')
  const weighted = bold && line.kind !== 'name' && line.kind !== 'heading' ? `\\heavy{${tex}}` : tex
  return href ? `\\link{${hex(Buffer.from(uri(href), 'ascii'))}}{${weighted}}` : weighted
}

function wordTex(word: string, bold: boolean, line: Line, typeface: Typeface): string {
  const between = needsBreaks(word, bold, line, typeface) ? '\\allowbreak ' : ''
  let tex = ''
  let family: string | undefined = 'text'
  for (const cluster of clusters(word)) {
    const [base = '', ...marks] = Array.from(cluster)
    const its = typeface.familyOf(base, bold)
    if (its !== family) {
      tex += `${family === 'text' ? '' : '}'}${its === 'text' ? '' : `\\from{${its}}{`}`
      family = its
    }
    // Marks are set by the first font over the letters of any other, too: the others' are read back with a gap.
    const over = marks.join('')
    tex += `${escapeLatex(base)}${over && family !== 'text' ? `\\from{text}{${over}}` : over}${between}`
  }
  return family === 'text' ? tex : `${tex}}`
}

/** An address in ASCII: what has no place in one is percent-encoded. */
const uri = (href: string) => new URL(href).href

const hex = (bytes: Buffer) => bytes.toString('hex')

/** Text for a PDF's own strings, in hexadecimal: nothing in it can mean anything to TeX. */
const pdfText = (text: string) => hex(Buffer.from(`\ufeff${text}`, 'utf16le').swap16())

/** Stage `latex`: a resume becomes LaTeX, every character of it escaped. */

import { readFileSync } from 'node:fs'
import { trace } from '@opentelemetry/api'
import { ATTR_LATEX_LENGTH } from '../names.ts'
import type { Resume } from './tailor.ts'

/** The template that comes with the server. `@TITLE@`, `@AUTHOR@` and `@BODY@` are filled in. */
export const TEMPLATE = readFileSync(new URL('./resume.tex', import.meta.url), 'utf8')

/** A document and what a reader must find in it, in reading order: name, section titles, employers, bullets. */
export interface LatexDocument {
  tex: string
  mustContain: string[]
}

const ESCAPES: Record<string, string> = {
  '\\': '\\textbackslash{}',
  '{': '\\{',
  '}': '\\}',
  $: '\\$',
  '&': '\\&',
  '#': '\\#',
  '%': '\\%',
  _: '\\_',
  '^': '\\textasciicircum{}',
  '~': '\\textasciitilde{}',
}

/**
 * Text as one line that prints as itself: NFC, white space folded, control, zero-width and bidirectional characters
 * removed. What is left is what the PDF's text must hold.
 */
export function printable(text: string): string {
  return (
    text
      .normalize('NFC')
      // Text pasted from a PDF brings its ligatures along; readers give the letters back.
      .replace(/[\ufb00-\ufb06]/g, (ligature) => ligature.normalize('NFKC'))
      .replace(/\s+/gu, ' ')
      .replace(/[\p{Cc}\p{Cf}\p{Co}\p{Cs}]/gu, '')
      .trim()
  )
}

/** LaTeX that prints the text as itself: the ten special characters escaped. */
export function escapeLatex(text: string): string {
  return printable(text).replace(/[\\{}$&#%_^~]/g, (character) => ESCAPES[character] ?? '')
}

/** A link, or plain text when the address is not http(s) or mailto. */
function link(address: string, text: string): string {
  if (!URL.canParse(address)) return escapeLatex(text)
  const url = new URL(address)
  if (!['http:', 'https:', 'mailto:'].includes(url.protocol)) return escapeLatex(text)
  const href = url.href
    .replace(/[\\{}^`|"<>]/g, (character) => encodeURIComponent(character))
    .replace(/[%#&_~]/g, (character) => `\\${character}`)
  return `\\href{${href}}{${escapeLatex(text)}}`
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']

/** `2019-03` → `Mar~2019`, `2019` → `2019`; the tie keeps it on one line. */
function monthAndYear(date: string): string {
  const [year = '', month] = date.split('-')
  const name = MONTHS[Number(month) - 1]
  return name ? `${name}~${year}` : year
}

function period(start: string | undefined, end: string | undefined): string {
  if (!start) return end ? monthAndYear(end) : ''
  return `${monthAndYear(start)}~–~${end ? monthAndYear(end) : 'Present'}`
}

/** Parts that exist, between bars on one line: right-aligned dates break the reading order of the text. */
const line = (...parts: (string | undefined)[]) => parts.filter(Boolean).join(' | ')
const present = (...parts: (string | undefined)[]) => parts.filter((part): part is string => Boolean(part?.trim()))

/** Renders the resume. Never throws for what a valid profile may hold. */
export function renderLatex(resume: Resume, template: string = TEMPLATE): LatexDocument {
  const body: string[] = []
  const mustContain: string[] = []
  const expect = (text: string | undefined) => {
    const shown = printable(text ?? '')
    if (shown) mustContain.push(shown)
    return escapeLatex(shown)
  }
  const section = (title: string, write: () => void) => {
    body.push(`\\section{${expect(title)}}`)
    write()
  }
  const bullets = (highlights: readonly string[]) => {
    // \item{} and not \item: a bullet that opens with a bracket would be taken for its optional argument.
    if (highlights.length === 0) return
    body.push('\\begin{itemize}', ...highlights.map((text) => `\\item{} ${expect(text)}`), '\\end{itemize}')
  }

  const { basics } = resume
  body.push(`{\\LARGE\\bfseries ${expect(basics.name)}}\\par\\vspace{2pt}`)
  if (basics.label) body.push(`${expect(basics.label)}\\par`)
  const place = present(basics.location?.city, basics.location?.region, basics.location?.countryCode).join(', ')
  const profiles = (basics.profiles ?? []).flatMap(({ url, network, username }) => {
    const text = url || present(network, username).join(': ')
    return text ? [link(url ?? '', text.replace(/^https?:\/\//, ''))] : []
  })
  const contact = line(
    basics.email && link(`mailto:${basics.email}`, basics.email),
    basics.phone && escapeLatex(basics.phone),
    place && escapeLatex(place),
    basics.url && link(basics.url, basics.url.replace(/^https?:\/\//, '')),
    ...profiles,
  )
  if (contact) body.push(`${contact}\\par`)

  if (resume.summary.trim()) section('Summary', () => body.push(`${expect(resume.summary)}\\par`))
  if (resume.work.length > 0) {
    section('Experience', () => {
      for (const job of resume.work) {
        const position = job.position ? `\\textbf{${expect(job.position)}}` : ''
        const rest = [escapeLatex(job.location ?? ''), period(job.startDate, job.endDate)]
        body.push(`\\entry{${line(position, expect(job.name), ...rest)}}`)
        if (job.summary && job.highlights.length === 0) body.push(`${expect(job.summary)}\\par`)
        bullets(job.highlights)
      }
    })
  }
  if (resume.projects.length > 0) {
    section('Projects', () => {
      for (const project of resume.projects) {
        const name = expect(project.name)
        body.push(
          `\\entry{${line(`\\textbf{${name}}`, project.endDate || !project.startDate ? period(project.startDate, project.endDate) : monthAndYear(project.startDate))}}`,
        )
        if (project.description) body.push(`${expect(project.description)}\\par`)
        bullets(project.highlights)
      }
    })
  }
  if (resume.education.length > 0) {
    section('Education', () => {
      for (const school of resume.education) {
        const degree = present(school.studyType, school.area).join(', ')
        const when = school.endDate ?? school.startDate
        const first = degree && `\\textbf{${expect(degree)}}`
        const parts = [expect(school.institution), when && monthAndYear(when), escapeLatex(school.score ?? '')]
        body.push(`\\entry{${line(first, ...parts)}}`)
      }
    })
  }
  if (resume.skills.length > 0) {
    section('Skills', () => {
      for (const skill of resume.skills) {
        const keywords = (skill.keywords ?? []).join(', ')
        body.push(`\\textbf{${expect(skill.name)}}${keywords ? `: ${escapeLatex(keywords)}` : ''}\\par`)
      }
    })
  }
  if (resume.certificates.length > 0) {
    section('Certificates', () => {
      for (const { name, issuer, date } of resume.certificates) {
        body.push(`${line(expect(name), escapeLatex(issuer ?? ''), date && monthAndYear(date))}\\par`)
      }
    })
  }
  if (resume.languages.length > 0) {
    const spoken = resume.languages.map(({ language, fluency }) => (fluency ? `${language} (${fluency})` : language))
    section('Languages', () => body.push(`${escapeLatex(spoken.join(', '))}\\par`))
  }

  const author = escapeLatex(basics.name)
  const fields: Record<string, string> = { TITLE: `Resume of ${author}`, AUTHOR: author, BODY: body.join('\n') }
  // A function as replacement: in a string, `$&` in somebody's text would be a command.
  const tex = template.replace(/@(TITLE|AUTHOR|BODY)@/g, (_, field: string) => fields[field] ?? '')
  trace.getActiveSpan()?.setAttribute(ATTR_LATEX_LENGTH, tex.length)
  return { tex, mustContain }
}

/** A resume as the lines it is printed in, in reading order. Knows nothing of LaTeX, nor of what fits. */

import { printable } from './printable.ts'
import type { Resume } from './tailor.ts'

/** A piece of a line in one weight. */
export interface Run {
  text: string
  bold?: boolean
  /** Address that the text links to. */
  href?: string
  /** A bar and a space on either side of it, or nothing where a row ends. */
  isBar?: true
}

export interface Line {
  kind: 'name' | 'headline' | 'contact' | 'heading' | 'entry' | 'note' | 'bullet'
  runs: Run[]
  /** The part of the profile it is of, such as `work[2]`. */
  field: string
  /** What it is worth beside the others, where it may be left out for want of room: bullets and remarks, never facts. */
  worth?: number
}

/** How much a bullet of each part counts beside an equal one of another. */
const WEIGHT = { work: 1, projects: 0.7, volunteer: 0.6 } as const
const WORTH = { remark: 0.35, courses: 0.3, interests: 0.15, references: 0.1 } as const

/** Ties keep a part together in its row; one that would need most of a row is none. */
const tied = (text: string) => (text.length > 45 ? text : text.replaceAll(' ', '\u00a0'))
/** No row begins with a unit, and none ends in a hyphen, which poppler would take for hyphenation and leave out. */
const tiedWhereNeeded = (text: string) =>
  text.replace(/(?<=\d) (?=[%\u2030\u00b0\p{Sc}])|(?<=[-\u2010\u2011]) /gu, '\u00a0')
const BAR: Run = { text: ' | ', isBar: true }

/** Fit of a text to the posting, 0 and more. */
export type Fit = (text: string) => number

/** Every line there is to print. Parts that are empty, or of which nothing can be printed, have none. */
export function linesOf(resume: Resume, fitOf: Fit = () => 0): Line[] {
  const lines: Line[] = []
  const add = (kind: Line['kind'], field: string, runs: (Run | undefined)[], worth?: number) => {
    const clean = runs.flatMap((run) => (run?.text ? [{ ...run, text: tiedWhereNeeded(run.text) }] : []))
    if (clean.length > 0) lines.push({ kind, field, runs: clean, ...(worth !== undefined && { worth }) })
  }
  const entry = (field: string, ...parts: (Run | undefined)[]) => add('entry', field, barred(parts))
  const note = (field: string, text: string | Run | undefined, worth?: number) =>
    add('note', field, [typeof text === 'object' ? text : plain(text)], worth)
  const section = (title: string, write: () => void) => {
    const before = lines.length
    add('heading', '', [{ text: title, bold: true }])
    write()
    if (lines.length === before + 1) lines.pop()
  }
  const bullets = (part: keyof typeof WEIGHT, index: number, highlights: readonly string[] | undefined) => {
    const shown = (highlights ?? []).map(printable).filter(Boolean)
    for (const [rank, text] of shown.entries()) {
      // Best first, as they come: a later bullet, and one of an older job, must fit the posting better to stay.
      const worth = (WEIGHT[part] * (1 + share(fitOf(text), best))) / (1 + rank) / (1 + index / 4)
      add('bullet', `${part}[${index}].highlights`, [{ text }], worth)
    }
  }
  const { basics } = resume
  const work = resume.work ?? []
  const everything = [...work, ...resume.projects, ...(resume.volunteer ?? [])].flatMap((each) => each.highlights ?? [])
  const best = Math.max(0, ...everything.map(fitOf))

  add('name', 'basics.name', [bold(basics.name)])
  add('headline', 'basics.label', [plain(basics.label)])
  add('contact', 'basics', barred(contactOf(basics)))
  section('Summary', () => note('basics.summary', resume.summary))

  const experience = () =>
    section('Experience', () => {
      for (const [index, job] of work.entries()) {
        const field = `work[${index}]`
        const when = period(job.startDate, job.endDate)
        entry(field, bold(job.position), linked(job.name, job.url), plain(job.location), when)
        note(`${field}.description`, job.description, WORTH.remark / (1 + index / 4))
        // All there is to say of a job that has no bullets, and a remark on one that has.
        note(`${field}.summary`, job.summary, (job.highlights.length > 0 ? WORTH.remark : 1) / (1 + index / 4))
        bullets('work', index, job.highlights)
      }
    })
  const education = () =>
    section('Education', () => {
      for (const [index, school] of (resume.education ?? []).entries()) {
        const field = `education[${index}]`
        const degree = [school.studyType, school.area]
          .map((part) => printable(part ?? ''))
          .filter(Boolean)
          .join(', ')
        const when = period(school.startDate, school.endDate)
        const score = printable(school.score ?? '')
        entry(field, bold(degree), linked(school.institution, school.url), { text: tied(score) }, when)
        const courses = list(school.courses)
        note(`${field}.courses`, courses && `Courses: ${courses}`, WORTH.courses / (1 + index / 4))
      }
    })
  // Who has not worked yet has an education to show first.
  if (work.length === 0) education()
  experience()
  section('Projects', () => {
    for (const [index, project] of resume.projects.entries()) {
      const field = `projects[${index}]`
      const when = period(project.startDate, project.endDate)
      entry(field, bold(project.name), plain(list(project.roles)), plain(project.entity), address(project.url), when)
      note(`${field}.description`, project.description)
      bullets('projects', index, project.highlights)
      const keywords = list(project.keywords)
      note(`${field}.keywords`, keywords && `Keywords: ${keywords}`, WORTH.remark / (1 + index / 4))
    }
  })
  if (work.length > 0) education()
  section('Skills', () => {
    for (const [index, skill] of resume.skills.entries()) {
      const level = printable(skill.level ?? '')
      const keywords = list(skill.keywords)
      const rest = `${level && ` (${level})`}${keywords && `: ${keywords}`}`
      add('note', `skills[${index}]`, [bold(skill.name), { text: skill.name ? rest : rest.replace(/^[ :]+/, '') }])
    }
  })
  section('Certificates', () => {
    for (const [index, { name, issuer, date, url }] of resume.certificates.entries()) {
      entry(`certificates[${index}]`, strong(linked(name, url)), plain(issuer), day(date))
    }
  })
  section('Publications', () => {
    for (const [index, { name, publisher, releaseDate, url, summary }] of (resume.publications ?? []).entries()) {
      entry(`publications[${index}]`, strong(linked(name, url)), plain(publisher), day(releaseDate))
      note(`publications[${index}].summary`, summary, WORTH.remark / (1 + index / 4))
    }
  })
  section('Awards', () => {
    for (const [index, { title, awarder, date, summary }] of (resume.awards ?? []).entries()) {
      entry(`awards[${index}]`, bold(title), plain(awarder), day(date))
      note(`awards[${index}].summary`, summary, WORTH.remark / (1 + index / 4))
    }
  })
  section('Volunteering', () => {
    for (const [index, { organization, position, url, startDate, endDate, summary, highlights }] of (
      resume.volunteer ?? []
    ).entries()) {
      const field = `volunteer[${index}]`
      entry(field, bold(position), linked(organization, url), period(startDate, endDate))
      note(`${field}.summary`, summary, WORTH.remark / (1 + index / 4))
      bullets('volunteer', index, highlights)
    }
  })
  section('Languages', () => {
    note('languages', listOfTied(resume.languages.map(({ language, fluency }) => withRemark(language, fluency))))
  })
  section('Interests', () => {
    const all = (resume.interests ?? []).map(({ name, keywords }) => withRemark(name, list(keywords)))
    note('interests', listOfTied(all), WORTH.interests)
  })
  section('References', () => {
    for (const [index, { name, reference }] of (resume.references ?? []).entries()) {
      const said = printable(reference ?? '')
      add('note', `references[${index}]`, [bold(name), { text: name && said ? `: ${said}` : said }], WORTH.references)
    }
  })
  return lines
}

function contactOf({ email, phone, location, url, profiles }: Resume['basics']): (Run | undefined)[] {
  const { address: street, postalCode, city, region, countryCode } = location ?? {}
  const town = [postalCode, city]
    .map((part) => printable(part ?? ''))
    .filter(Boolean)
    .join(' ')
  const parts: (Run | undefined)[] = [
    email ? { text: printable(email), href: `mailto:${email}` } : undefined,
    phone ? { text: printable(phone), ...callable(phone) } : undefined,
    plain(list([street?.replace(/\s*\n\s*/g, ', '), town, region, countryCode])),
    address(url),
    ...(profiles ?? []).map((profile) => {
      const who = [profile.network, profile.username]
        .map((part) => printable(part ?? ''))
        .filter(Boolean)
        .join(': ')
      return address(profile.url) ?? plain(who)
    }),
  ]
  return parts.map((run) => run && { ...run, text: tied(run.text) })
}

/** `tel:` for what is plainly a telephone number, and no more than one. */
function callable(phone: string): Pick<Run, 'href'> {
  const number = phone.replace(/[\s().\-/\u2010-\u2013\u00a0]/g, '')
  return /^\+?\d{5,15}$/.test(number) ? { href: `tel:${number}` } : {}
}

/** The address of a link, and undefined for what is none to follow. */
function followable(url: string | undefined): string | undefined {
  if (!url || !URL.canParse(url)) return undefined
  const { protocol, href } = new URL(url)
  return ['http:', 'https:', 'mailto:'].includes(protocol) ? href : undefined
}

function linked(name: string | undefined, url: string | undefined): Run | undefined {
  const href = followable(url)
  return name ? { text: printable(name), ...(href && { href }) } : undefined
}

/** An address printed as itself, without what goes without saying. */
function address(url: string | undefined): Run | undefined {
  return url ? linked(url.replace(/^https?:\/\//, '').replace(/^([^/]+)\/$/, '$1'), url) : undefined
}

const plain = (text: string | undefined): Run | undefined => (text ? { text: printable(text) } : undefined)
const strong = (run: Run | undefined): Run | undefined => run && { ...run, bold: true }
const bold = (text: string | undefined) => strong(plain(text))
const share = (part: number, whole: number) => (whole > 0 ? part / whole : 0)
const list = (parts: readonly (string | undefined)[] | undefined) =>
  (parts ?? [])
    .map((part) => printable(part ?? ''))
    .filter(Boolean)
    .join(', ')
const listOfTied = (parts: readonly (string | undefined)[]): Run => ({
  text: parts
    .map((part) => tied(printable(part ?? '')))
    .filter(Boolean)
    .join(', '),
})
const withRemark = (name: string | undefined, remark: string | undefined) =>
  remark ? `${name ?? ''} (${remark})` : name

/** Parts that exist, between bars on one line: right-aligned dates break the reading order of the text. */
function barred(parts: readonly (Run | undefined)[]): Run[] {
  return parts.flatMap((run) => (run?.text ? [BAR, run] : [])).slice(1)
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']

/** `2019-03` and `2019-03-15` → `Mar 2019`, `2019` → `2019`. */
function monthAndYear(date: string): string {
  const [year = '', month] = date.split('-')
  const name = MONTHS[Number(month) - 1]
  return name ? `${name} ${year}` : year
}

/** From when to when; what has begun and not ended goes on. */
function period(start: string | undefined, end: string | undefined): Run | undefined {
  const from = start && monthAndYear(start)
  const to = end && monthAndYear(end)
  const both = from && to !== from ? `${from} – ${to || 'Present'}` : to
  return both ? { text: tied(both) } : undefined
}

const day = (date: string | undefined) => (date ? { text: tied(monthAndYear(date)) } : undefined)

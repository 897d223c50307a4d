/** Which lines are printed, so that a resume takes two pages and no smaller letters: chosen by worth, measured. */

import { Failure } from './failure.ts'
import type { Line } from './lines.ts'
import { clusters } from './printable.ts'
import type { Room, Typeface } from './typeface.ts'

/** A reader of resumes turns one page. */
export const MAX_PAGES = 2

/** The least a second page holds, points: a fifth of it. A heading and a row on a page of their own look forgotten. */
const SCANT = 150

/**
 * Points of air: most of it where there is room, so that a short resume is no lump at the top of its page; less than
 * none where that saves a page. Between the two in steps.
 */
const AIR = { most: 4, least: -1.5, step: 0.5 }

/** Points of a last row that look like a word that was forgotten. */
const FORGOTTEN = 55

/** Times the size of the text; another template may have others, and then the first guess is a little off. */
const SIZE: Partial<Record<Line['kind'], number>> = { name: 2.07, heading: 1.2 }
const sizeOf = ({ kind }: Line) => SIZE[kind] ?? 1

export interface Chosen {
  lines: Line[]
  /** Pages they take, as far as can be reckoned. */
  pages: number
  /** Room between the parts beyond the template's own, points; negative where there is less. */
  air: number
  /** The line that begins the second page, where that page would otherwise hold next to nothing. */
  breakBefore?: Line | undefined
  /** Bullets and remarks that there was no room for. */
  leftOut: number
}

/**
 * Leaves out the lines of least worth until the rest takes {@link MAX_PAGES}. What has no worth of its own (who, where,
 * when, what degree) stays in any case: Failure('resume_too_long') when that alone is too much. `spare` is room to
 * leave empty, in points: for when the pages came out longer than was reckoned here.
 */
export function chooseLines(lines: readonly Line[], typeface: Typeface, spare = 0): Chosen {
  const rows = new Map(lines.map((line) => [line, rowsOf(line, typeface).count]))
  const rest = (without: ReadonlySet<Line>) => withoutEmptyParts(lines.filter((line) => !without.has(line)))
  const fits = (without: ReadonlySet<Line>) => paginate(rest(without), rows, typeface.room, spare).pages <= MAX_PAGES
  const spendable = lines.filter((line) => line.worth !== undefined).sort((a, b) => (a.worth ?? 0) - (b.worth ?? 0))

  // The smallest number of the least worthy without which the rest fits, by halving.
  let enough = spendable.length
  if (!fits(new Set(spendable))) throw new Failure('resume_too_long', { detail: longestPart(lines, rows) })
  for (let low = 0; low < enough; ) {
    const middle = (low + enough) >> 1
    if (fits(new Set(spendable.slice(0, middle)))) enough = middle
    else low = middle + 1
  }
  const out = new Set(spendable.slice(0, enough))
  // A long one made room for the short ones that went before it.
  for (const line of spendable.slice(0, enough).reverse()) {
    out.delete(line)
    if (!fits(out)) out.add(line)
  }
  const kept = rest(out)
  const air = airFor((points, more) => paginate(kept, rows, typeface.roomWith(points), spare + more), typeface)
  const room = typeface.roomWith(air)
  const { pages, used } = paginate(kept, rows, room, spare)
  const breakBefore = pages > 1 && used < SCANT ? startOfTail(kept, rows, room) : undefined
  return { lines: kept, pages, air, breakBefore, leftOut: out.size }
}

/**
 * The most air that takes no page more, or that still saves one; a row is left free in either case. Down to a quarter of
 * that where the last page then begins with a section, and none is torn in two.
 */
function airFor(paginated: (air: number, more: number) => Paginated, { room }: Typeface): number {
  const { pages } = paginated(0, 0)
  const savesPage = paginated(AIR.least, room.line).pages < pages
  const [least, allowed] = savesPage ? [AIR.least, pages - 1] : [0, pages]
  let most: number | undefined
  for (let air = AIR.most; air >= least; air -= AIR.step) {
    const tried = paginated(air, room.line)
    if (tried.pages > allowed) continue
    most ??= air
    if (tried.pages === 1 || air < most / 4) break
    if (tried.lastBegins === 'heading') return air
  }
  return most ?? 0
}

/** The last section or entry from which on there is enough for a page. */
function startOfTail(lines: readonly Line[], rows: ReadonlyMap<Line, number>, room: Room): Line | undefined {
  let height = 0
  for (const [index, line] of [...lines.entries()].reverse()) {
    const previous = lines[index - 1]
    height += firstRow(line, previous, room) + ((rows.get(line) ?? 1) - 1) * room.line
    const begins = line.kind === 'heading' || (line.kind === 'entry' && previous?.kind !== 'heading')
    if (begins && height >= SCANT) return line
  }
  return undefined
}

/** Headings under which nothing stands go with what stood there. */
function withoutEmptyParts(lines: Line[]): Line[] {
  return lines.filter(({ kind }, index) => kind !== 'heading' || (lines[index + 1]?.kind ?? 'heading') !== 'heading')
}

/** Whether the line may not be the last of its page: it announces the next. */
export function announces(line: Line, next: Line | undefined): boolean {
  return line.kind === 'heading' || (line.kind === 'entry' && (next?.kind === 'note' || next?.kind === 'bullet'))
}

/** The line without a last row of a short word or two: words before it keep them company, where that takes no row more. */
export function withCompany(line: Line, typeface: Typeface): Line {
  const { count, last } = rowsOf(line, typeface)
  if ((line.kind !== 'bullet' && line.kind !== 'note') || count < 2 || last >= FORGOTTEN) return line
  let tied = line
  for (let words = 0; words < 2; words++) {
    const run = tied.runs.at(-1)
    const at = run?.text.lastIndexOf(' ') ?? -1
    if (!run || at < 0) return line
    const text = `${run.text.slice(0, at)}\u00a0${run.text.slice(at + 1)}`
    tied = { ...tied, runs: [...tied.runs.slice(0, -1), { ...run, text }] }
    const rows = rowsOf(tied, typeface)
    if (rows.count > count) return line
    if (rows.last >= FORGOTTEN) return tied
  }
  return line
}

/** In how many rows TeX sets a line, and the last one's width: it breaks at spaces only, which are all of one width. */
function rowsOf(line: Line, typeface: Typeface): { count: number; last: number } {
  const { kind, runs } = line
  const size = sizeOf(line)
  const measure = typeface.room.textWidth - (kind === 'bullet' ? typeface.room.indent : 0)
  const space = typeface.width(' ', false) * size
  let rows = 1
  let used = 0
  let word = 0
  const endWord = (more: number) => {
    if (used > 0 && used + word > measure) {
      rows++
      used = 0
    }
    // What is longer than a row by itself is broken anywhere.
    rows += Math.max(0, Math.ceil(word / measure) - 1)
    used += word + more
    word = 0
  }
  for (const { text, bold, isBar } of runs) {
    if (isBar) {
      endWord(typeface.width(text, false) * size)
      continue
    }
    const [first = '', ...others] = text.split(' ')
    word += typeface.width(first, bold ?? false) * size
    for (const other of others) {
      endWord(space)
      word = typeface.width(other, bold ?? false) * size
    }
  }
  endWord(0)
  return { count: rows, last: used }
}

interface Paginated {
  pages: number
  /** Points of the last page. */
  used: number
  /** What that page begins with. */
  lastBegins: Line['kind'] | undefined
}

function paginate(lines: readonly Line[], rows: ReadonlyMap<Line, number>, room: Room, spare: number): Paginated {
  const height = room.textHeight - spare
  let pages = 1
  let used = 0
  let together = 0
  let begins: Line['kind'] | undefined
  let lastBegins: Line['kind'] | undefined
  const place = () => {
    if (used + together > height) {
      pages++
      used = 0
      lastBegins = begins
    }
    used += together
    together = 0
    begins = undefined
  }
  for (const [index, line] of lines.entries()) {
    begins ??= line.kind
    const count = rows.get(line) ?? 1
    const previous = lines[index - 1]
    together += firstRow(line, previous, room)
    // No row of a paragraph stands alone on a page, at its beginning or its end: up to three stay together.
    if (count <= 3) together += (count - 1) * room.line
    else {
      together += room.line
      place()
      for (let middle = 2; middle < count - 2; middle++) {
        together = room.line
        place()
      }
      together = 2 * room.line
    }
    if (!announces(line, lines[index + 1])) place()
  }
  return { pages, used, lastBegins }
}

function firstRow({ kind }: Line, previous: Line | undefined, room: Room): number {
  if (kind === 'bullet') return previous?.kind === 'bullet' ? room.moreBullets - room.bullets : room.bullets
  if (kind === 'heading') return room.headed - room.line
  // Its own room is the heading's.
  return kind === 'entry' && previous?.kind === 'heading' ? room.line : room[kind]
}

/** The part that takes the most rows, for the person to shorten. */
function longestPart(lines: readonly Line[], rows: ReadonlyMap<Line, number>): string {
  const parts = new Map<string, number>()
  for (const line of lines.filter(({ worth }) => worth === undefined)) {
    const part = line.field.replace(/\[.*/, '')
    parts.set(part, (parts.get(part) ?? 0) + (rows.get(line) ?? 1))
  }
  const [longest] = [...parts].sort(([, a], [, b]) => b - a)
  return longest ? `the longest part is “${longest[0]}”` : ''
}

/** Whether a word has to be broken anywhere, because no row could hold it. */
export function needsBreaks(word: string, bold: boolean, line: Line, typeface: Typeface): boolean {
  return (
    typeface.width(word, bold) * sizeOf(line) > typeface.room.textWidth - 2 * typeface.room.indent &&
    clusters(word).length > 1
  )
}

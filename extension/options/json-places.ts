/**
 * Where in a JSON text each value stands, and where the text stops being JSON. JSON.parse tells neither: it gives no
 * positions for what it accepts, and the engines disagree on whether and how they name the position of a mistake.
 */

/** Offsets into the text, end exclusive. */
export interface Place {
  start: number
  end: number
}

export interface JsonPlaces {
  /** By {@link pathText}; the whole document is ''. Up to the mistake, when there is one. */
  places: Map<string, Place>
  /** The first mistake, in words that say what to correct. */
  mistake?: Place & { message: string }
}

/** `['work', 1, 'startDate']` → `work[1].startDate`; the document itself is ''. */
export function pathText(path: readonly PropertyKey[]): string {
  return path.reduce<string>((text, key) => text + stepText(key, text === ''), '')
}

/** Line and column of an offset, both counted from 1, as editors show them. */
export function lineAndColumn(text: string, offset: number): { line: number; column: number } {
  const before = text.slice(0, offset)
  return { line: before.split('\n').length, column: offset - before.lastIndexOf('\n') }
}

/** Finds every value's place. Never throws; nesting beyond 64 levels counts as a mistake. */
export function findPlaces(text: string): JsonPlaces {
  const scan: Scan = { text, at: 0, places: new Map() }
  try {
    skipSpace(scan)
    if (scan.at === text.length) fail(scan, 'there is nothing here yet')
    value(scan, '', 0)
    if (scan.at < text.length) fail(scan, 'there is more text after the end; the last closing bracket comes too early')
    return { places: scan.places }
  } catch (error) {
    if (!(error instanceof Mistake)) throw error
    const { start, end, message } = error
    return { places: scan.places, mistake: { start, end, message } }
  }
}

const MAX_DEPTH = 64
const SPACE = /[ \t\n\r]*/y
const STRING = /"(?:[^"\\\n\r\t]|\\.)*"/y
const SCALAR = /true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y
const WORD = /[^\s,:[\]{}"]+/y

interface Scan {
  text: string
  at: number
  places: Map<string, Place>
}

class Mistake extends Error {
  readonly start: number
  readonly end: number
  constructor(message: string, start: number, end: number) {
    super(message)
    this.start = start
    this.end = end
  }
}

function value(scan: Scan, path: string, depth: number): void {
  if (depth > MAX_DEPTH) fail(scan, 'the brackets are nested too deeply')
  const start = scan.at
  const first = scan.text[start]
  if (first === '{') members(scan, path, depth)
  else if (first === '[') entries(scan, path, depth)
  else if (first === '"') string(scan)
  else scalar(scan)
  scan.places.set(path, { start, end: scan.at })
  skipSpace(scan)
}

function members(scan: Scan, path: string, depth: number): void {
  const opened = step(scan)
  while (scan.text[scan.at] !== '}') {
    if (scan.text[scan.at] !== '"') fail(scan, nameWords(scan, opened))
    const name = string(scan)
    skipSpace(scan)
    if (scan.text[scan.at] !== ':') fail(scan, `a colon is missing after "${shortened(name)}"`)
    step(scan)
    value(scan, path + stepText(name, path === ''), depth + 1)
    separator(scan, opened, '}')
  }
  scan.at++
}

function entries(scan: Scan, path: string, depth: number): void {
  const opened = step(scan)
  for (let index = 0; scan.text[scan.at] !== ']'; index++) {
    if (scan.at === scan.text.length) fail(scan, unclosedWords(scan, opened))
    value(scan, path + stepText(index, false), depth + 1)
    separator(scan, opened, ']')
  }
  scan.at++
}

/** Between two values: stands at the next one afterwards, or at the closing bracket. */
function separator(scan: Scan, opened: number, bracket: string): void {
  if (scan.text[scan.at] === bracket) return
  if (scan.at === scan.text.length) fail(scan, unclosedWords(scan, opened))
  if (scan.text[scan.at] !== ',') fail(scan, `a comma or a closing ${bracket} is missing before this`)
  step(scan)
  if (scan.text[scan.at] === bracket) fail(scan, 'the comma before this bracket must go')
}

/** Reads a string and returns it decoded. */
function string(scan: Scan): string {
  const start = scan.at
  const token = take(scan, STRING)
  if (!token) {
    const line = /[^\n\r\t]*/y
    line.lastIndex = start
    const end = start + (line.exec(scan.text)?.[0].length ?? 0)
    const stop = scan.text[end]
    if (stop === '\t') throw new Mistake('a text in quotes holds a tab; write a space, or \\t', end, end + 1)
    throw new Mistake('this text has no closing " on its line', start, end)
  }
  try {
    return JSON.parse(token) as string
  } catch {
    throw new Mistake('a backslash here must be written twice (\\\\)', start, scan.at)
  }
}

function scalar(scan: Scan): void {
  const start = scan.at
  const token = take(scan, SCALAR)
  const rest = take(scan, WORD)
  if (token && !rest) return
  const word = token + rest
  scan.at = start
  if (!word) fail(scan, start === scan.text.length ? 'the text ends here, too early' : 'a value is missing here')
  if (/^['‘“”]/.test(word)) throw new Mistake('quotes must be straight double quotes (")', start, start + word.length)
  throw new Mistake(`${shortened(word)} must be in double quotes (")`, start, start + word.length)
}

function nameWords(scan: Scan, opened: number): string {
  const next = scan.text[scan.at]
  if (next === undefined) return unclosedWords(scan, opened)
  if (/['‘“”]/.test(next)) return 'quotes must be straight double quotes (")'
  return 'a field name in double quotes is expected here'
}

function unclosedWords(scan: Scan, opened: number): string {
  const { line } = lineAndColumn(scan.text, opened)
  return `the text ends here, but the ${scan.text[opened]} of line ${line} is not closed`
}

function fail(scan: Scan, message: string): never {
  throw new Mistake(message, scan.at, Math.min(scan.at + 1, scan.text.length))
}

/** Passes one character and the space after it; returns the character's offset. */
function step(scan: Scan): number {
  const at = scan.at++
  skipSpace(scan)
  return at
}

function skipSpace(scan: Scan): void {
  take(scan, SPACE)
}

function take(scan: Scan, pattern: RegExp): string {
  pattern.lastIndex = scan.at
  const token = pattern.exec(scan.text)?.[0] ?? ''
  scan.at += token.length
  return token
}

function stepText(key: PropertyKey, first: boolean): string {
  if (typeof key === 'number') return `[${key}]`
  const name = String(key)
  if (!/^[\p{L}_$][\p{L}\p{N}_$-]*$/u.test(name)) return `[${JSON.stringify(name)}]`
  return first ? name : `.${name}`
}

function shortened(word: string): string {
  return word.length > 24 ? `${word.slice(0, 24)}…` : word
}

/** Stage `validate`: what Tectonic made is opened and read before anybody gets it. */

import { trace } from '@opentelemetry/api'
import { getResolvedPDFJS } from 'unpdf'
import { METRICS } from '../metric-names.ts'
import { counter, histogram } from '../metrics.ts'
import {
  ATTR_PDF_CHECKS_FAILED,
  ATTR_PDF_CHECKS_PASSED,
  ATTR_PDF_PAGES,
  ATTR_PDF_SIZE,
  ATTR_PDF_TEXT_LENGTH,
} from '../names.ts'
import { isSynthetic } from '../synthetic.ts'
import { Failure } from './failure.ts'
import { MAX_PAGES } from './fit.ts'
import type { LatexDocument } from './latex.ts'

const validations = counter(METRICS.pdfValidations)
const duration = histogram(METRICS.pdfValidationDuration)
const size = histogram(METRICS.pdfSize)
const pages = histogram(METRICS.pdfPages)

const MAX_BYTES = 2 * 1024 * 1024

/** What is asked of every PDF, in this order. */
export const PDF_CHECKS = [
  'size',
  'readable',
  'pages',
  'fonts_embedded',
  'text',
  'text_on_page',
  'links',
  'outline',
  'title',
  'language',
] as const
export type PdfCheck = (typeof PDF_CHECKS)[number]

export interface CheckedPdf {
  pages: number
  sizeBytes: number
  /** Those that could be asked: a PDF that cannot be opened has no others after `readable`. */
  checks: { check: PdfCheck; outcome: 'passed' | 'failed' }[]
}

/** What the PDF must be like: what the document says of itself. */
export type Expected = Pick<LatexDocument, 'mustContain' | 'links' | 'outline' | 'title' | 'language'>

/**
 * Checks that the PDF opens, has 1 to {@link MAX_PAGES} pages and at most 2 MiB, brings its fonts, holds the text in its
 * order and within the page, and has the links, outline, title and language it should. All checks are asked
 * and recorded; a PDF that fails one is never delivered: Failure('pdf_invalid') with the first failed as its reason.
 */
export async function validatePdf(pdf: Uint8Array, expected: Expected): Promise<CheckedPdf> {
  const beganAt = performance.now()
  const checked = await checkPdf(pdf, expected)
  count(checked, (performance.now() - beganAt) / 1_000)
  const named = (outcome: string) => checked.checks.filter((each) => each.outcome === outcome).map(({ check }) => check)
  const failed = named('failed')
  trace.getActiveSpan()?.setAttributes({ [ATTR_PDF_CHECKS_PASSED]: named('passed'), [ATTR_PDF_CHECKS_FAILED]: failed })
  if (failed[0]) throw new Failure('pdf_invalid', { reason: failed[0], cause: checked.cause })
  return checked
}

function count({ checks, sizeBytes, pages: pageCount }: CheckedPdf, seconds: number): void {
  const synthetic = isSynthetic()
  for (const { check, outcome } of checks) validations.add({ check, outcome, synthetic })
  const outcome = checks.every((each) => each.outcome === 'passed') ? 'passed' : 'failed'
  duration.observe({ outcome, synthetic }, seconds)
  size.observe({ synthetic }, sizeBytes)
  // Nobody knows how many it has that cannot be opened.
  if (pageCount > 0) pages.observe({ synthetic }, pageCount)
}

/** Asks all checks, records pages, size and length of the text on the span, and judges nothing. Never throws. */
export async function checkPdf(pdf: Uint8Array, expected: Expected): Promise<CheckedPdf & { cause?: unknown }> {
  const span = trace.getActiveSpan()
  const sizeBytes = pdf.byteLength
  span?.setAttribute(ATTR_PDF_SIZE, sizeBytes)
  const checks: CheckedPdf['checks'] = []
  const check = (name: PdfCheck, passed: boolean) => checks.push({ check: name, outcome: passed ? 'passed' : 'failed' })

  check('size', sizeBytes <= MAX_BYTES)
  if (sizeBytes > MAX_BYTES) return { pages: 0, sizeBytes, checks }
  let read: ReadPdf
  try {
    read = await readPdf(pdf)
  } catch (cause) {
    check('readable', false)
    return { pages: 0, sizeBytes, checks, cause }
  }
  const text = read.items.map(({ text }) => text).join('')
  span?.setAttributes({ [ATTR_PDF_PAGES]: read.pages, [ATTR_PDF_TEXT_LENGTH]: text.length })
  check('readable', true)
  check('pages', read.pages >= 1 && read.pages <= MAX_PAGES)
  check('fonts_embedded', read.missingFonts === 0)
  check('text', holdsInOrder(text, expected.mustContain))
  check('text_on_page', read.items.every(isOnPage) && read.links.every(isOnPage))
  check('links', same(once(read.links.map(({ url }) => url)), once(expected.links)))
  check('outline', same(read.outline, expected.outline))
  check('title', read.title === expected.title)
  check('language', read.language === expected.language)
  return { pages: read.pages, sizeBytes, checks }
}

/** Not by unpdf's getDocumentProxy, which looks for a package of fonts anew with each document. Rejects when it cannot be opened. */
async function open(pdf: Uint8Array) {
  const { getDocument } = await getResolvedPDFJS()
  // A copy: pdf.js takes the buffer over, leaves the caller with an empty one, and wants no Node Buffer.
  return getDocument({ data: new Uint8Array(pdf), useSystemFonts: true }).promise
}

/** How many pages the PDF has; 0 when it cannot be opened. */
export async function countPages(pdf: Uint8Array): Promise<number> {
  const document = await open(pdf).catch(() => undefined)
  const pages = document?.numPages ?? 0
  await document?.loadingTask.destroy()
  return pages
}

interface Box {
  left: number
  bottom: number
  right: number
  top: number
  page: readonly number[]
}

interface ReadPdf {
  pages: number
  title: unknown
  language: unknown
  outline: string[]
  /** In reading order. */
  items: (Box & { text: string })[]
  links: (Box & { url: string })[]
  missingFonts: number
}

async function readPdf(pdf: Uint8Array): Promise<ReadPdf> {
  const document = await open(pdf)
  try {
    // Of a document of too many pages a few more are enough to say so.
    const numbers = Array.from({ length: Math.min(document.numPages, MAX_PAGES + 1) }, (_, index) => index + 1)
    const { info } = await document.getMetadata()
    const { Title: title, Language: language } = info as { Title?: unknown; Language?: unknown }
    const outline = ((await document.getOutline()) ?? []).map((entry) => entry.title)
    const read: ReadPdf = { pages: document.numPages, title, language, outline, items: [], links: [], missingFonts: 0 }
    for (const number of numbers) await readPage(await document.getPage(number), read)
    return read
  } finally {
    await document.loadingTask.destroy()
  }
}

type Page = Awaited<ReturnType<Awaited<ReturnType<typeof open>>['getPage']>>

async function readPage(page: Page, read: ReadPdf): Promise<void> {
  // Normalized, a reader's text is not what the PDF says but what searching is easier in.
  const content = await page.getTextContent({ disableNormalization: true })
  for (const item of content.items) {
    if (!('str' in item)) continue
    const [, , , , left = 0, bottom = 0] = item.transform as number[]
    const right = left + item.width
    read.items.push({ text: item.str + (item.hasEOL ? '\n' : ''), left, bottom, right, top: bottom, page: page.view })
  }
  for (const { subtype, unsafeUrl, rect } of await page.getAnnotations()) {
    if (subtype !== 'Link' || typeof unsafeUrl !== 'string') continue
    const [left = 0, bottom = 0, right = 0, top = 0] = rect as number[]
    read.links.push({ url: unsafeUrl, left, bottom, right, top, page: page.view })
  }
  // Fonts are known once the page's operators have been read.
  const { OPS } = await getResolvedPDFJS()
  const { fnArray, argsArray } = await page.getOperatorList()
  const names = fnArray.flatMap((operation, index) => (operation === OPS.setFont ? [argsArray[index]?.[0]] : []))
  for (const name of new Set(names)) {
    const font = page.commonObjs.has(name) ? page.commonObjs.get(name) : undefined
    if (!font || font.missingFile) read.missingFonts++
  }
}

/** Points at a page's edge that printers do not reach. */
const EDGE = 18

// pdf.js keeps quiet about letters that begin beyond the page. What runs off it is seen by those before them, at the
// edge; what is beyond altogether is missing from the text.
function isOnPage({ left, bottom, right, top, page: [x0 = 0, y0 = 0, x1 = 0, y1 = 0] }: Box): boolean {
  return left >= x0 + EDGE && right <= x1 - EDGE && bottom >= y0 + EDGE && top <= y1 - EDGE
}

// Readers differ in where they put spaces and line ends.
const solid = (text: string) => text.normalize('NFC').replace(/\s+/gu, '')

function holdsInOrder(text: string, parts: readonly string[]): boolean {
  const read = solid(text)
  let from = 0
  for (const part of parts) {
    const at = read.indexOf(solid(part), from)
    if (at < 0) return false
    from = at + solid(part).length
  }
  return true
}

/** Without repetitions: a link that goes on in the next row is two in the PDF. */
const once = (urls: readonly string[]) => urls.filter((url, index) => url !== urls[index - 1])

const same = (some: readonly string[], others: readonly string[]) =>
  some.length === others.length && some.every((each, index) => each === others[index])

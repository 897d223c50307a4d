/** Stage `validate`: what Tectonic made is opened and read before anybody gets it. */

import { trace } from '@opentelemetry/api'
import { extractText, getDocumentProxy } from 'unpdf'
import { ATTR_PDF_PAGES, ATTR_PDF_SIZE, ATTR_PDF_TEXT_LENGTH } from '../names.ts'
import { Failure } from './failure.ts'

const MAX_PAGES = 3
const MAX_BYTES = 2 * 1024 * 1024

export interface ValidPdf {
  pages: number
  sizeBytes: number
}

// Readers differ in where they put spaces and line ends, and in which of two equal characters they give back (µ, μ).
const solid = (text: string) => text.normalize('NFKC').replace(/\s+/gu, '')

/**
 * Checks that the PDF opens, has 1 to 3 pages and at most 2 MiB, and that its text holds the given strings in their
 * order. Throws Failure('pdf_invalid') with the name of the failed check as its reason: a PDF that does not pass is
 * never delivered.
 */
export async function validatePdf(pdf: Uint8Array, mustContain: readonly string[]): Promise<ValidPdf> {
  const span = trace.getActiveSpan()
  span?.setAttribute(ATTR_PDF_SIZE, pdf.byteLength)
  if (pdf.byteLength > MAX_BYTES) throw new Failure('pdf_invalid', { reason: 'too_large' })
  const { pages, text } = await readText(pdf)
  span?.setAttributes({ [ATTR_PDF_PAGES]: pages, [ATTR_PDF_TEXT_LENGTH]: text.length })
  if (pages < 1 || pages > MAX_PAGES) throw new Failure('pdf_invalid', { reason: 'page_count' })
  const read = solid(text)
  let from = 0
  for (const expected of mustContain) {
    const at = read.indexOf(solid(expected), from)
    if (at < 0) throw new Failure('pdf_invalid', { reason: 'text_missing' })
    from = at + solid(expected).length
  }
  return { pages, sizeBytes: pdf.byteLength }
}

async function readText(pdf: Uint8Array): Promise<{ pages: number; text: string }> {
  try {
    // A copy: pdf.js takes the buffer over, leaves the caller with an empty one, and wants no Node Buffer.
    const document = await getDocumentProxy(new Uint8Array(pdf))
    const { totalPages, text } = await extractText(document, { mergePages: true })
    await document.loadingTask.destroy()
    return { pages: totalPages, text }
  } catch (cause) {
    throw new Failure('pdf_invalid', { reason: 'unreadable', cause })
  }
}

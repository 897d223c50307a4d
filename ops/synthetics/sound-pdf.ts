/** Whether what was delivered is the PDF that was asked for, by another reading than the server's own. */

import { extractText, getDocumentProxy } from 'unpdf'
import { CheckFailed } from './verdict.ts'

/** Throws CheckFailed unless it begins as a PDF, opens, has 1 to `maxPages` pages and holds the words. */
export async function assertPdf(bytes: Uint8Array, { words, maxPages }: { words: string; maxPages: number }) {
  if (new TextDecoder('latin1').decode(bytes.subarray(0, 5)) !== '%PDF-') throw new CheckFailed('pdf_header')
  const { totalPages, text } = await read(bytes)
  if (totalPages < 1 || totalPages > maxPages) throw new CheckFailed('pdf_pages')
  if (!solid(text).includes(solid(words))) throw new CheckFailed('pdf_text')
}

async function read(bytes: Uint8Array): Promise<{ totalPages: number; text: string }> {
  const document = await getDocumentProxy(new Uint8Array(bytes), { verbosity: 0 }).catch((cause) => {
    throw new CheckFailed('pdf_unreadable', { cause })
  })
  try {
    return await extractText(document, { mergePages: true })
  } catch (cause) {
    throw new CheckFailed('pdf_unreadable', { cause })
  } finally {
    await document.loadingTask.destroy()
  }
}

// Readers differ in where they put spaces and line ends.
const solid = (text: string) => text.normalize('NFC').replace(/\s+/gu, '')

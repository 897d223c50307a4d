import type { ServerResponse } from 'node:http'
import { expect, onTestFinished, test } from 'vitest'
import { openEndpoint } from '../../fixtures/endpoint.ts'
import { perform } from './attempt.ts'
import { compileCheck } from './compile.ts'

/** A PDF of one page, without a table of where what is: readers find that by themselves. */
function pdfWith(words: string): string {
  const content = `BT /F1 12 Tf 72 700 Td (${words}) Tj ET`
  return `%PDF-1.4
1 0 obj << /Type /Catalog /Pages 2 0 R >> endobj
2 0 obj << /Type /Pages /Kids [3 0 R] /Count 1 >> endobj
3 0 obj << /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >> endobj
4 0 obj << /Length ${content.length} >> stream
${content}
endstream endobj
5 0 obj << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> endobj
trailer << /Root 1 0 R >>
%%EOF`
}

/** Something in the relay's place that lets everybody in and answers POST /compile like this. */
async function verdictOf(compile: (latex: string, response: ServerResponse) => void, limitMs = 20_000) {
  const { url, close } = await openEndpoint(async (request, response) => {
    let body = ''
    for await (const chunk of request) body += chunk
    if (request.url === '/installs') response.writeHead(201).end('{"token":"t","refresh":"r","expiresInS":60}')
    else compile(body, response)
  })
  onTestFinished(close)
  const { result, error_type, attempts } = await perform(compileCheck({ url, key: 'k' }), {
    limitMs,
    wait: async () => {},
  })
  return [result, error_type, attempts]
}

const wordsIn = (latex: string) => /Typeset \w+/.exec(latex)?.[0] ?? ''

test('A PDF with the words of this very try passes, and nothing else that looks like one', async () => {
  expect(await verdictOf((latex, response) => response.end(pdfWith(wordsIn(latex))))).toEqual(['passed', null, 1])
  expect(await verdictOf((_, response) => response.end(pdfWith('Typeset earlier')))).toEqual(['failed', 'pdf_text', 2])
  expect(await verdictOf((_, response) => response.end('%PDF-1.7\nand no more'))).toEqual([
    ...['failed', 'pdf_unreadable', 2],
  ])
  expect(await verdictOf((latex, response) => response.end(` ${pdfWith(wordsIn(latex))}`))).toEqual([
    ...['failed', 'pdf_header', 2],
  ])
  expect(await verdictOf((_, response) => response.end())).toEqual(['failed', 'pdf_header', 2])
})

test('An answer that breaks off, never comes, or is somebody else\u2019s page is a failure with a name', async () => {
  const broken = (_: string, response: ServerResponse) => {
    response.writeHead(200, { 'content-length': '1000' })
    response.write('%PDF-1.7', () => response.destroy())
  }
  expect(await verdictOf(broken)).toEqual(['failed', 'relay_unreachable', 2])
  expect(await verdictOf(() => {}, 300)).toEqual(['failed', 'timeout', 2])
  const page = (_: string, response: ServerResponse) => response.writeHead(502).end('<h1>Bad gateway</h1>')
  expect(await verdictOf(page)).toEqual(['failed', 'http_502', 2])
})

test('Its own quota, used up, is the harness\u2019s fault, and is not asked again', async () => {
  const refuse = (_: string, response: ServerResponse) =>
    response.writeHead(429).end('{"error":{"code":"quota_synthetic","message":"Too much."}}')
  expect(await verdictOf(refuse)).toEqual(['harness_failed', 'quota_synthetic', 1])
})

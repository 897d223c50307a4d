import { expect, test } from 'vitest'
import { pageOf, savedHtml } from '../../fixtures/postings/saved-page.ts'
import { Attempts } from '../attempts.ts'
import { selection } from './selection.ts'
import { readPosting, STRATEGIES } from './strategies.ts'

const CHOSEN =
  'Wind the clock, trim the wick, and note the weather.\n\n  Speak to\u00a0nobody\u200b about the third lamp.\n'.repeat(
    3,
  )
const LINES = Array(3)
  .fill('Wind the clock, trim the wick, and note the weather.\nSpeak to nobody about the third lamp.')
  .join('\n')

test('nothing selected, and too little selected, say so', () => {
  expect(selection.read(pageOf('<h1>Keeper</h1>'))).toEqual({ gaveUp: 'nothing_selected' })
  expect(selection.read(pageOf('<h1>Keeper</h1>', undefined, ' \n '))).toEqual({ gaveUp: 'nothing_selected' })
  expect(selection.read(pageOf('<h1>Keeper</h1>', undefined, 'Wind the clock.'))).toEqual({ gaveUp: 'too_short' })
})

test('a long enough selection wins over everything the page declares, and takes its heading from there', () => {
  const page = pageOf(savedHtml('json-ld-graph.html'), 'https://careers.fjordlight.example/jobs/1', CHOSEN)
  const attempts = new Attempts()
  const posting = readPosting(page, attempts, STRATEGIES)
  expect(attempts.attempts).toHaveLength(1)
  expect(posting).toEqual({
    source: 'selection',
    title: 'Senior Backend Engineer (Observability & Platform)',
    company: 'Fjordlight Ferries',
    location: 'Nordhavn, Skarvøy, Norway',
    description: LINES,
  })
})

test('the heading comes from a board’s markup where there is no JSON-LD', () => {
  const page = pageOf(savedHtml('lever.html'), 'https://jobs.lever.co/quillfeather/1', CHOSEN)
  expect(selection.read(page)).toEqual({
    posting: expect.objectContaining({
      title: 'Senior Accountant - Month-End & Systems',
      company: 'Quillfeather & Daughters',
      location: 'Halifax, NS',
    }),
  })
})

test('the heading comes from the document where nothing is declared', () => {
  const html = `<title>Keeper of the Light | Careers | Gull Rock</title><h1>Careers</h1><main><h1>Keeper of the Light</h1>
    <dl><dt>Place of work:</dt><dd>The rock</dd></dl></main>`
  expect(selection.read(pageOf(html, undefined, CHOSEN))).toEqual({
    posting: expect.objectContaining({ title: 'Keeper of the Light', company: 'Gull Rock', location: 'The rock' }),
  })
})

test('a page that says nothing leaves the heading empty', () => {
  expect(selection.read(pageOf('', undefined, CHOSEN))).toEqual({
    posting: { source: 'selection', title: '', company: '', location: '', description: LINES },
  })
})

import { expect, test } from 'vitest'
import { pageOf, savedHtml } from '../../fixtures/postings/saved-page.ts'
import { ashby } from './ashby.ts'
import { greenhouse } from './greenhouse.ts'
import { indeed } from './indeed.ts'
import { lever } from './lever.ts'
import { linkedin } from './linkedin.ts'
import { workday } from './workday.ts'

const DUTY = 'Keep the lighthouse lit, log what passes, and write to the board twice a month about what you saw. '
const LONG = DUTY.repeat(3).trim()

test.each([
  [greenhouse, 'greenhouse.html'],
  [lever, 'lever.html'],
  [ashby, 'ashby.html'],
  [workday, 'workday.html'],
  [linkedin, 'linkedin.html'],
  [indeed, 'indeed.html'],
])('$source is recognized by its markup under a company’s own domain', (board, name) => {
  expect(board.read(pageOf(savedHtml(name), 'https://jobs.gullrock.example/1'))).toEqual({
    posting: expect.objectContaining({ source: board.source }),
  })
})

test.each([
  [greenhouse, 'https://notgreenhouse.io/'],
  [lever, 'https://lever.co.example/'],
  [linkedin, 'https://linkedin.com.example/'],
  [indeed, 'https://indeed.example.com/'],
])('$source is not taken in by %s', (board, address) => {
  expect(board.read(pageOf('<h1>Hello</h1>', address))).toEqual({ gaveUp: 'other_site' })
})

test('a board’s list of openings has no description', () => {
  expect(lever.read(pageOf('<div class="postings-group"></div>', 'https://jobs.lever.co/gullrock'))).toEqual({
    gaveUp: 'no_description',
  })
})

test('Greenhouse’s earlier boards are read too', () => {
  const html = `<div id="app_body"><div id="header"><h1 class="app-title">Keeper</h1><span class="company-name"> at Gull Rock </span>
    <div class="location">The rock</div></div><div id="content"><p>${LONG}</p></div><form id="application_form"><p>Name</p></form></div>`
  expect(greenhouse.read(pageOf(html, 'https://boards.greenhouse.io/gullrock/jobs/1'))).toEqual({
    posting: { source: 'greenhouse', title: 'Keeper', company: 'Gull Rock', location: 'The rock', description: LONG },
  })
})

test('LinkedIn’s public page is read too', () => {
  const html = `<section class="top-card-layout"><h1 class="top-card-layout__title topcard__title">Keeper</h1>
    <a class="topcard__org-name-link topcard__flavor--black-link"> Gull Rock </a><span class="topcard__flavor topcard__flavor--bullet">The rock</span></section>
    <div class="description__text description__text--rich"><section class="show-more-less-html"><div class="show-more-less-html__markup">
    <strong>Duties<br><br></strong>${LONG}<ul><li>Lamps</li></ul></div><button>Show more</button></section></div>`
  expect(linkedin.read(pageOf(html, 'https://no.linkedin.com/jobs/view/1'))).toEqual({
    posting: {
      source: 'linkedin',
      title: 'Keeper',
      company: 'Gull Rock',
      location: 'The rock',
      description: `Duties\n${LONG}\n- Lamps`,
    },
  })
})

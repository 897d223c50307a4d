import { expect, test } from 'vitest'
import { pageOf } from '../../fixtures/postings/saved-page.ts'
import { isPosting } from './signs.ts'

const POSTING = `We are looking for somebody to walk with our guests, full-time.\nWhat you'll do:\n- Lead walks
Requirements\n- 2 years of experience`
const judged = (text: string, title: string, html = '<a>Apply now</a>') => isPosting(text, title, pageOf(html).document)

test('duties, requirements and the other signs together are a posting, whatever guides it is for', () => {
  expect(judged(POSTING, 'Mountain Guide')).toBe(true)
})

test('a German and a French posting are postings', () => {
  expect(
    judged(
      'Wir suchen Verstärkung in Vollzeit.\nIhre Aufgaben\n- Licht\nIhr Profil\n- Ruhe',
      'Leuchtturmwärter',
      '<a>Jetzt bewerben</a>',
    ),
  ).toBe(true)
  expect(
    judged(
      'Nous recherchons un gardien, CDI.\nVos missions\n- Feu\nProfil recherché\n- Calme',
      'Gardien',
      '<a>Postuler</a>',
    ),
  ).toBe(true)
})

test('the same under a title that teaches is an article', () => {
  expect(judged(POSTING, 'How to advertise for a mountain guide')).toBe(false)
  expect(judged(POSTING, 'Mountain guide job ad template')).toBe(false)
})

test('without a heading of duties or of requirements no number of signs is enough', () => {
  expect(judged('We are hiring, full-time. 2 years of experience. Benefits\nSend your CV to us.', 'Jobs')).toBe(false)
})

test('a heading alone is not enough', () => {
  expect(judged('Requirements\n- Node 24\n- A terminal', 'Installing', '<a>Docs</a>')).toBe(false)
})

/** Lever (`jobs.lever.co`, `jobs.eu.lever.co`), and companies that put its pages under their own domain. */

import { jobBoard } from './job-board.ts'

export const lever = jobBoard({
  source: 'lever',
  hosts: /(?:^|\.)lever\.co$/,
  mark: '.posting-page .posting-headline',
  title: ['.posting-headline h2'],
  company: [
    '.main-header-logo img[alt]',
    (document) => {
      // "Company - Title"; the title may hold dashes of its own, so it is taken from the page.
      const title = document.querySelector('.posting-headline h2')?.textContent?.trim() ?? ''
      return document.title.endsWith(` - ${title}`) ? document.title.slice(0, -title.length - 3) : ''
    },
  ],
  location: ['.posting-categories .location', '.posting-categories .sort-by-location'],
  description: [
    '.posting-page .section-wrapper > .section:not(.posting-header):not(.last-section-apply)',
    '[data-qa="job-description"], .posting-description',
  ],
})

/** Ashby (`jobs.ashbyhq.com`). Class names with a hash change with each of its releases: only their stems are used. */

import { jobBoard } from './job-board.ts'

export const ashby = jobBoard({
  source: 'ashby',
  hosts: /(?:^|\.)ashbyhq\.com$/,
  mark: '.ashby-job-posting-heading',
  title: ['.ashby-job-posting-heading'],
  company: [
    (document) => /\s@\s(.+)$/.exec(document.title.trim())?.[1] ?? '', // "Title @ Company"
    '[class*="_navLogo"] img[alt], .ashby-job-posting-header img[alt]',
    'meta[property="og:site_name"]',
  ],
  location: [
    (document) => {
      const headings = Array.from(document.querySelectorAll('.ashby-job-posting-left-pane h2'))
      const heading = headings.find((h2) => /^locations?$/i.test(h2.textContent?.trim() ?? ''))
      return heading?.nextElementSibling?.textContent ?? ''
    },
    '.ashby-job-posting-location',
  ],
  description: [
    '.ashby-job-posting-right-pane [class*="_descriptionText"]',
    '#overview [class*="_descriptionText"]',
    '.ashby-job-posting-right-pane [role="tabpanel"]',
    '#overview',
  ],
})

/** Greenhouse: the boards of today (`job-boards.greenhouse.io`), of before (`boards.greenhouse.io`), and embedded ones. */

import { jobBoard } from './job-board.ts'

export const greenhouse = jobBoard({
  source: 'greenhouse',
  hosts: /(?:^|\.)greenhouse\.io$/,
  mark: '.job-post .job__description, #app_body .app-title',
  title: ['.job__title h1', 'h1.job__title', '#app_body .app-title', '.job-post h1'],
  company: [
    (document) => /^Job Application for .+ at (.+)$/.exec(document.title.trim())?.[1] ?? '',
    (document) => (document.querySelector('#app_body .company-name')?.textContent ?? '').trim().replace(/^at\s+/i, ''),
    '.job-post-container .logo img[alt], .image-container img.logo[alt], #logo img[alt]',
    'meta[property="og:site_name"]',
  ],
  location: ['.job__location', '#app_body .location'],
  description: ['.job__description', '#app_body #content'],
})

/** Workday (`*.myworkdayjobs.com`); its `data-automation-id` attributes hold while its class names do not. */

import { jobBoard } from './job-board.ts'

export const workday = jobBoard({
  source: 'workday',
  hosts: /(?:^|\.)(?:myworkdayjobs|myworkdaysite|workday)\.com$/,
  mark: '[data-automation-id="jobPostingDescription"]',
  title: ['[data-automation-id="jobPostingHeader"]'],
  // Not the tenant's name in the host: it is a slug ("nw2prod"), and would be printed as if the page had said it.
  company: [
    'img[data-automation-id="logo"][alt], [data-automation-id="logo"] img[alt]',
    'meta[property="og:site_name"]',
  ],
  location: [
    (document) =>
      Array.from(document.querySelectorAll('[data-automation-id="locations"] dd'))
        .slice(0, 10)
        .map((dd) => dd.textContent?.trim() ?? '')
        .join('; '),
    '[data-automation-id="locations"]',
  ],
  description: ['[data-automation-id="jobPostingDescription"]'],
})

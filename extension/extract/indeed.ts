/** Indeed (`indeed.com` and its countries' hosts): a posting of its own, or beside the search results. */

import { jobBoard } from './job-board.ts'

export const indeed = jobBoard({
  source: 'indeed',
  hosts: /(?:^|\.)indeed\.(?:com|[a-z]{2}|co\.[a-z]{2}|com\.[a-z]{2})$/,
  mark: '.jobsearch-JobComponent #jobDescriptionText',
  title: [
    (document) =>
      // "Title - job post": the ending is Indeed's, for screen readers.
      (document.querySelector('.jobsearch-JobInfoHeader-title')?.textContent ?? '').replace(/\s*-\s*job post\s*$/i, ''),
    '[data-testid="jobDetailTitle"]',
  ],
  company: [
    '[data-testid="inlineHeader-companyName"] a',
    '[data-testid="inlineHeader-companyName"]',
    '[data-company-name="true"]',
  ],
  location: [
    '[data-testid="inlineHeader-companyLocation"]',
    '[data-testid="jobsearch-JobInfoHeader-companyLocation"]',
    '[data-testid="job-location"]',
  ],
  description: ['#jobDescriptionText', '[data-testid="jobDetailDescription"]'],
})

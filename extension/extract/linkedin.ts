/** LinkedIn: the page for members (`jobs-unified-top-card`) and the public one (`topcard`). */

import { jobBoard } from './job-board.ts'

export const linkedin = jobBoard({
  source: 'linkedin',
  hosts: /(?:^|\.)linkedin\.com$/,
  mark: '.job-details-jobs-unified-top-card__job-title',
  title: [
    '.job-details-jobs-unified-top-card__job-title',
    '.jobs-unified-top-card__job-title',
    '.top-card-layout__title',
    '.topcard__title',
  ],
  company: [
    '.job-details-jobs-unified-top-card__company-name',
    '.jobs-unified-top-card__company-name',
    '.topcard__org-name-link',
    '.topcard__flavor:not(.topcard__flavor--bullet)',
  ],
  location: [
    // "Oslo, Norway · 2 days ago · 41 applicants": the first of the run is the place.
    '.job-details-jobs-unified-top-card__primary-description-container .tvm__text',
    '.job-details-jobs-unified-top-card__bullet',
    '.jobs-unified-top-card__bullet',
    '.topcard__flavor--bullet',
  ],
  description: [
    '#job-details > .mt4', // without its heading "About the job"
    '#job-details',
    '.jobs-description__content .jobs-box__html-content',
    '.show-more-less-html__markup',
    '.description__text',
  ],
})

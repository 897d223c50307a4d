/** A resume of nobody's with every section and every script that can be printed: what a template is tried with. */

import type { Resume } from './tailor.ts'

const LETTERS =
  'ABCDEFGHIJKLMNOPQRSTUVWXYZ abcdefghijklmnopqrstuvwxyz 0123456789 –—•“”‘’…€£§ !"#$%&\'()*+,-./:;<=>?@[\\]^_`{|}~'
/** Of every alphabet, and of formulas and signs, whose fonts may each be another. */
const TEXT = `${LETTERS} ÀÉÎÕÜßçøłőřţậ ЁёЩщ Ωωάἀ Աბ ∑→√✓ ♂⚙☎`

export const SPECIMEN: Resume = {
  basics: {
    name: TEXT,
    label: TEXT,
    email: 'specimen@example.com',
    phone: '+1 555 0100',
    url: 'https://example.com/specimen',
    location: { city: TEXT, region: TEXT, countryCode: 'US' },
    profiles: [{ network: 'GitHub', username: 'specimen', url: 'https://example.com/profile' }],
  },
  summary: TEXT,
  work: [
    { name: TEXT, position: TEXT, location: TEXT, startDate: '2019-03', highlights: [TEXT, TEXT] },
    { name: TEXT, summary: TEXT, startDate: '2017', endDate: '2019-02-01', highlights: [] },
  ],
  projects: [{ name: TEXT, description: TEXT, startDate: '2018-01', endDate: '2018-06', highlights: [TEXT] }],
  education: [{ institution: TEXT, studyType: TEXT, area: TEXT, endDate: '2016', score: TEXT }],
  skills: [{ name: TEXT, keywords: [TEXT] }],
  certificates: [{ name: TEXT, issuer: TEXT, date: '2020-02' }],
  languages: [{ language: TEXT, fluency: TEXT }],
  keywords: { matched: 0, total: 0 },
}

/** A small profile of an invented person: something to start from, and to see what a field is for. */

import type { Profile } from '../../server/request-contract.ts'

export const EXAMPLE_PROFILE: Profile = {
  basics: {
    name: 'Robin Example',
    label: 'Warehouse Team Lead',
    email: 'robin@example.org',
    phone: '+1 555 0100',
    summary: 'Team lead with eight years in logistics, four of them leading people.',
    location: { city: 'Springfield', countryCode: 'US' },
  },
  work: [
    {
      name: 'Northwind Parcels',
      position: 'Team Lead, Outbound',
      startDate: '2021-03',
      highlights: [
        'Lead a team of 14 across two shifts, with 96 % of parcels leaving on the promised day.',
        'Planned the move to handheld scanners and trained 40 colleagues in six weeks.',
      ],
    },
    {
      name: 'Blue Harbor Foods',
      position: 'Warehouse Associate',
      startDate: '2017-06',
      endDate: '2021-02',
      highlights: ['Cut picking errors from 2.1 % to 0.7 % by relabelling 300 shelves.'],
    },
  ],
  education: [
    {
      institution: 'Springfield Community College',
      studyType: 'Certificate',
      area: 'Supply Chain Management',
      endDate: '2017',
    },
  ],
  skills: [{ name: 'Logistics', keywords: ['Inventory control', 'Shift planning', 'Forklift licence'] }],
  languages: [{ language: 'English', fluency: 'Native' }],
}

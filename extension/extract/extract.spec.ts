import { expect } from '@playwright/test'
import { bundledPostings } from '../../ops/postings.ts'
import { rowsNamed, test } from '../journey.ts'

for (const [file, expected] of Object.entries(bundledPostings())) {
  if (expected.notAPosting) continue
  test(`in a real page, ${file} is read by ${expected.source}`, async ({ journey }) => {
    await journey.settings('short')
    const run = await journey.generate(file)
    expect(run).toMatchObject({ status: 'done', posting: { title: expected.title, company: expected.company } })
    const [extract] = rowsNamed(await journey.trace(run), 'extract')
    expect(extract?.attributes).toMatchObject({
      'pass_ats.posting.source': expected.source,
      'pass_ats.posting.host': expected.host,
      'pass_ats.posting.length': expected.description?.length,
    })
  })
}

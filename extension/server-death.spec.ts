import { expect } from '@playwright/test'
import { endOfRun, report } from '../ops/demonstration.ts'
import { PLACES, startMortalStack } from '../ops/mortal-stack.ts'
import { urlOf } from '../ops/postings.ts'
import { asSupport } from '../ops/support.ts'
import { layOut, type Waterfall } from '../relay/console/waterfall.ts'
import { expectSound, rowsNamed, test } from './journey.ts'

/** The trace, with the browser's part, and what the server that lives on has to say of it. */
async function storedTrace(relayUrl: string, id: string, stages: number): Promise<Waterfall> {
  let waterfall: Waterfall | undefined
  await expect
    .poll(async () => {
      const response = await fetch(`${relayUrl}/api/traces/${id}`, { headers: asSupport(relayUrl) })
      waterfall = layOut(await response.json())
      return {
        root: waterfall.root?.name,
        missing: waterfall.missingParents.length,
        isWhole: rowsNamed(waterfall, 'validate').length >= stages,
      }
    })
    .toEqual({ root: 'generate resume', missing: 0, isWhole: true })
  return waterfall as Waterfall
}

for (const place of PLACES) {
  test(`a server that is killed at ${place} and started anew costs the person nothing but time, and the trace says why`, async ({
    journey,
  }) => {
    const stack = await startMortalStack(place)
    try {
      await journey.settings('short', stack.relayUrl)
      const page = await journey.browser.context.newPage()
      await page.goto(urlOf('lever.html'))
      const popup = await journey.browser.openPopup(page)
      await popup.click('generate')
      expect(await endOfRun(journey.browser)).toMatchObject({ status: 'done' })
      await popup.waitForText('open-pdf')
      const { id } = await endOfRun(journey.browser)
      await popup.close()
      await page.close()
      await stack.died

      await report(journey.browser, id)
      // What the dead server had not sent yet is missing, and nothing waits for it.
      const waterfall = await storedTrace(stack.relayUrl, id, place === 'resume.pdf' ? 0 : 1)
      expectSound(waterfall)
      expect(rowsNamed(waterfall, 'generate resume')).toMatchObject([{ status: 'unset' }])
      const stage = rowsNamed(waterfall, place === 'resume.pdf' ? 'deliver' : 'generate')
      expect(stage).toMatchObject([{ status: 'unset', service: 'pass-ats-extension' }])
      // The browser lost its connection, and says that it asked for the run once more.
      const lost = waterfall.rows.filter(
        ({ status, parentSpanId }) => status === 'error' && parentSpanId === stage[0]?.spanId,
      )
      expect(lost.map(({ service, failureCode }) => `${service} ${failureCode}`)).toContain(
        'pass-ats-extension server_unreachable',
      )
      if (place !== 'resume.pdf') {
        expect(stage[0]?.attributes['pass_ats.run.reposts']).toBeGreaterThanOrEqual(1)
        const posts = rowsNamed(waterfall, 'POST /generate', 'pass-ats-server')
        expect(posts.at(-1)?.attributes['pass_ats.run.attempt']).toBe(2)
      }
    } finally {
      await stack.stop()
    }
  })
}

/**
 * One run in a real Firefox, as a person makes it: the profile saved in the options, the posting at its own address in
 * a tab, the button pressed in the toolbar, Generate pressed in the popup that it opens, the PDF opened from there.
 */

import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { test as base, expect } from '@playwright/test'
import { RESOURCE_BROWSER_BRANDS, SERVICE_EXTENSION, SERVICE_RELAY, SERVICE_SERVER, SPAN_RUN } from '../names.ts'
import { wholeTrace } from '../ops/demonstration.ts'
import { buildExtension } from '../ops/extension-build.ts'
import { FIREFOX_EXTENSION_DIR, type Firefox, launchFirefox } from '../ops/firefox.ts'
import { urlOf } from '../ops/postings.ts'
import { findFirefox } from '../ops/setup/firefox.ts'
import { Progress } from '../ops/setup/progress.ts'
import type { Stack } from '../ops/stack.ts'
import { asSupport } from '../ops/support.ts'
import type { TracesData } from '../relay/otlp.ts'
import { anotherStack, bundledProfile, expectSound } from './journey.ts'
import { REPORT_RUN } from './messages.ts'

const progress = new Progress(process.stderr)

/**
 * Readability moves nodes about in a copy of the page that is never shown. zod's compiler of schemas is switched off in
 * the contract of requests; its code is there all the same.
 */
const EXPLAINED = /^UNSAFE_VAR_ASSIGNMENT in last-resort\.js$|^DANGEROUS_EVAL in assets\/options\b/

// Fixtures, because they are taken down after a test that ran out of time, too.
const test = base.extend<{ stack: Stack; firefox: Firefox }>({
  // biome-ignore lint/correctness/noEmptyPattern: Playwright reads the fixture's dependencies from the pattern.
  stack: async ({}, use) => {
    const stack = await anotherStack({})
    await use(stack)
    await stack.stop()
  },
  // biome-ignore lint/correctness/noEmptyPattern: as above.
  firefox: async ({}, use) => {
    const firefox = await launchFirefox(await findFirefox(progress))
    await use(firefox)
    await firefox.close()
  },
})

test.beforeAll(() => buildExtension(progress, 'firefox'))

test('in Firefox, one trace covers the click, the page, the relay, the server and the PDF in the browser', async ({
  stack,
  firefox,
}) => {
  const profile = await bundledProfile('long')

  const options = await firefox.openExtensionPage('options/options.html')
  await options.waitFor('document.body.dataset.ready')
  await options.fill('profile-text', JSON.stringify(profile))
  await options.click('profile-save')
  await options.waitFor(`document.querySelector('[data-testid="profile-summary"]').textContent.startsWith('Saved:')`)
  await options.fill('relay-url', stack.relayUrl)
  await options.click('relay-save')
  expect(await options.waitForText('relay-status')).toContain(stack.relayUrl)

  await firefox.openPosting(urlOf('json-ld-graph.html'))
  const popup = await firefox.openPopup()
  await popup.click('generate')
  expect(await popup.waitFor(`/^(done|failed)$/.exec(document.body.dataset.status)?.[0]`)).toBe('done')
  const traceId = await popup.evaluate<string>(`document.querySelector('[data-testid="run-id"]').title`)
  const report = { type: REPORT_RUN, payload: { runId: traceId } }
  expect(await popup.evaluate(`chrome.runtime.sendMessage(${JSON.stringify(report)})`)).toEqual({ state: 'sent' })
  await popup.click('open-pdf')
  const viewer = await firefox.openedFrame(`resume/resume.html#${traceId}`)
  const { name } = profile.basics as { name: string }
  await viewer.waitFor(`document.querySelector('.textLayer').textContent.includes(${JSON.stringify(name)})`)

  const waterfall = await wholeTrace(stack.relayUrl, traceId)
  expectSound(waterfall)
  expect(new Set(waterfall.services)).toEqual(new Set([SERVICE_EXTENSION, SERVICE_RELAY, SERVICE_SERVER]))
  expect(waterfall.root).toMatchObject({ name: SPAN_RUN, service: SERVICE_EXTENSION, status: 'unset' })
  expect(await browsersOf(stack, traceId)).toEqual([expect.stringMatching(/^Firefox \d+$/)])
})

test('the Firefox build passes the linter of Mozilla\u2019s store', async () => {
  const linter = fileURLToPath(new URL('../node_modules/.bin/addons-linter', import.meta.url))
  const printed = await new Promise<string>((resolve) =>
    // Its exit code says no more than its report.
    execFile(linter, ['--output', 'json', FIREFOX_EXTENSION_DIR], (_, stdout) => resolve(stdout)),
  )
  const { errors, warnings } = JSON.parse(printed) as Record<'errors' | 'warnings', { code: string; file: string }[]>
  expect(errors).toEqual([])
  expect(warnings.map(({ code, file }) => `${code} in ${file}`).filter((warning) => !EXPLAINED.test(warning))).toEqual(
    [],
  )
})

/** What the extension's spans say their browser is. */
async function browsersOf({ relayUrl }: Stack, traceId: string): Promise<string[]> {
  const { resourceSpans = [] } = (await (
    await fetch(`${relayUrl}/api/traces/${traceId}`, { headers: asSupport(relayUrl) })
  ).json()) as TracesData
  return resourceSpans.flatMap(({ resource }) =>
    (resource?.attributes ?? []).flatMap(({ key, value }) =>
      key === RESOURCE_BROWSER_BRANDS && value?.stringValue ? [value.stringValue] : [],
    ),
  )
}

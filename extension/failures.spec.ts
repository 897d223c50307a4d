import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from '@playwright/test'
import { type Behaviour, type OpenAiEndpoint, startOpenAiEndpoint } from '../fixtures/llm/openai-endpoint.ts'
import { endOfRun } from '../ops/demonstration.ts'
import { urlOf } from '../ops/postings.ts'
import type { Stack } from '../ops/stack.ts'
import { signInLink } from '../ops/support.ts'
import { entryOf } from '../relay/diagnosis.ts'
import { FAILURES, type FailureCode } from '../server/contract.ts'
import { anotherStack, bundledProfile, type Journey, rowsNamed, test } from './journey.ts'
import type { RunState } from './run-state.ts'

const POSTING = 'json-ld-graph.html'

/** Presses Generate and holds what the popup then says against what the failure's entry promises. */
async function generateAndFail(journey: Journey, code: FailureCode, url: string): Promise<RunState> {
  const page = await journey.browser.context.newPage()
  await page.goto(url)
  const popup = await journey.browser.openPopup(page)
  await popup.click('generate')
  expect(await popup.waitForText('failure-code')).toBe(code)
  expect(await popup.text('failure-message')).toBe(FAILURES[code].message)
  expect(await popup.text('failure-advice')).toBe(FAILURES[code].advice)
  const run = await endOfRun(journey.browser)
  expect(await popup.text('run-id')).toBe(run.id.slice(0, 8))
  await popup.close()
  await page.close()
  return run
}

/** The console says the same to support: the sentence, what stands behind it, and the span in which it broke. */
async function expectExplained({ browser }: Journey, run: RunState, code: FailureCode, relayUrl: string) {
  const page = await browser.context.newPage()
  await page.goto(await signInLink(relayUrl, `/support/${run.id}`))
  const { meaning, tell, runbook } = entryOf(code)
  await expect(page.locator('h1')).toContainText(FAILURES[code].message.slice(1))
  await expect(page.locator('.meaning')).toHaveText(meaning)
  await expect(page.locator('#tell')).toHaveText(tell)
  await expect(page.locator('.facts')).toContainText(code)
  await expect(page.locator('.culprit .mark').first()).toContainText('failed')
  await expect(page.locator('.culprit .attributes').first()).toContainText(code)
  if (runbook) await expect(page.locator('.runbook')).toContainText(runbook)
  await page.close()
}

/** The trace marks the root and the span that failed, each with the code. */
async function expectMarked(journey: Journey, run: RunState, code: FailureCode, span: string, relayUrl?: string) {
  const waterfall = await journey.trace(run, relayUrl)
  expect(waterfall.root).toMatchObject({ status: 'error', failureCode: code })
  expect(rowsNamed(waterfall, span).filter(({ status }) => status === 'error')).toMatchObject([{ failureCode: code }])
  await expectExplained(journey, run, code, relayUrl ?? journey.relayUrl)
  return waterfall
}

test('without a profile', async ({ journey }) => {
  await journey.settings(undefined)
  const run = await generateAndFail(journey, 'profile_missing', urlOf(POSTING))
  await expectMarked(journey, run, 'profile_missing', 'generate resume')
})

for (const page of ['not-a-posting.html', 'article-about-jobs.html']) {
  test(`on a page that is no posting: ${page}`, async ({ journey }) => {
    await journey.settings('short')
    const run = await generateAndFail(journey, 'posting_not_found', urlOf(page))
    const waterfall = await expectMarked(journey, run, 'posting_not_found', 'extract')
    const gaveUp = rowsNamed(waterfall, 'extract strategy').map(
      ({ attributes }) => attributes['pass_ats.extract.gave_up'],
    )
    expect(gaveUp.at(-1), 'the last strategy says why').toBe('not_a_posting')
  })
}

test('on a page that the browser closes to extensions', async ({ journey }) => {
  await journey.settings('short')
  const run = await generateAndFail(journey, 'page_unreadable', 'chrome://version/')
  await expectMarked(journey, run, 'page_unreadable', 'content/extract_posting')
})

test('with the relay down, and the trace arrives once the relay is back', async ({ journey }) => {
  const gone = await anotherStack({})
  await gone.stop()
  await journey.settings('short', gone.relayUrl)
  const run = await generateAndFail(journey, 'relay_unreachable', urlOf(POSTING))
  await journey.settings('short')
  expect(await journey.generate(POSTING)).toMatchObject({ status: 'done' })
  await expectMarked(journey, run, 'relay_unreachable', 'generate')
})

test('with the server down', async ({ journey }) => {
  const stack = await anotherStack({})
  try {
    await journey.settings('short', stack.relayUrl)
    stack.server.kill('SIGKILL')
    const run = await generateAndFail(journey, 'server_unreachable', urlOf(POSTING))
    await expectMarked(journey, run, 'server_unreachable', 'generate', stack.relayUrl)
  } finally {
    await stack.stop()
  }
})

test('with a character that no font has, named', async ({ journey }) => {
  const profile = await bundledProfile('short')
  await journey.settings({ ...profile, basics: { ...(profile.basics as object), label: 'Mechanic 日' } })
  const run = await generateAndFail(journey, 'unsupported_character', urlOf(POSTING))
  expect(run.failure?.detail).toBe('“日” (U+65E5) in basics.label')
  await expectMarked(journey, run, 'unsupported_character', 'latex')
})

test('without Tectonic', async ({ journey }) => {
  const stack = await anotherStack({}, '')
  try {
    await journey.settings('short', stack.relayUrl)
    const run = await generateAndFail(journey, 'tectonic_unavailable', urlOf(POSTING))
    await expectMarked(journey, run, 'tectonic_unavailable', 'compile', stack.relayUrl)
  } finally {
    await stack.stop()
  }
})

test('with a template that is not LaTeX', async ({ journey }) => {
  const folder = await mkdtemp(join(tmpdir(), 'pass-ats-template-'))
  const template = join(folder, 'broken.tex')
  await writeFile(template, '\\documentclass{article}\n\\begin{document}\n\\nosuchcommand @BODY@\n\\end{document}\n')
  const stack = await anotherStack({ RESUME_TEMPLATE: template })
  try {
    await journey.settings('short', stack.relayUrl)
    const run = await generateAndFail(journey, 'latex_invalid', urlOf(POSTING))
    const waterfall = await expectMarked(journey, run, 'latex_invalid', 'compile', stack.relayUrl)
    // Its fonts could not even be measured, which is done before any run: the stage tells where it is wrong.
    expect(rowsNamed(waterfall, 'compile')[0]?.attributes).toMatchObject({ 'pass_ats.latex.error.line': 3 })
  } finally {
    await stack.stop()
    await rm(folder, { recursive: true })
  }
})

test.describe('with a model that', () => {
  let endpoint: OpenAiEndpoint
  let stack: Stack
  test.beforeAll(async () => {
    endpoint = await startOpenAiEndpoint()
    stack = await anotherStack({ LLM_BASE_URL: endpoint.baseUrl, LLM_MODEL: 'm-1', LLM_TIMEOUT_MS: '5000' })
  })
  test.afterAll(async () => {
    await stack.stop()
    await endpoint.close()
  })

  const cases: [Behaviour, FailureCode, string][] = [
    ['error_500', 'llm_error', '500'],
    ['error_429', 'llm_rate_limited', '429'],
    ['nonsense', 'llm_invalid_output', 'not_json'],
    ['silent', 'llm_timeout', 'deadline'],
  ]
  for (const [behaviour, code, errorType] of cases) {
    test(`answers ${behaviour}`, async ({ journey }) => {
      endpoint.behaviour = behaviour
      await journey.settings('short', stack.relayUrl)
      const run = await generateAndFail(journey, code, urlOf(POSTING))
      const waterfall = await expectMarked(journey, run, code, 'llm', stack.relayUrl)
      expect(rowsNamed(waterfall, 'chat m-1')).toMatchObject([
        { status: 'error', failureCode: code, attributes: { 'error.type': errorType } },
      ])
    })
  }

  test('is still thinking when the server dies', async ({ journey }) => {
    endpoint.behaviour = 'stalled'
    const dying = await anotherStack({ LLM_BASE_URL: endpoint.baseUrl, LLM_MODEL: 'm-1' })
    try {
      await journey.settings('short', dying.relayUrl)
      const asked = endpoint.requests.length
      const page = await journey.browser.context.newPage()
      await page.goto(urlOf(POSTING))
      const popup = await journey.browser.openPopup(page)
      await popup.click('generate')
      await expect.poll(() => endpoint.requests.length).toBeGreaterThan(asked)
      dying.server.kill('SIGKILL')
      expect(await popup.waitForText('failure-code')).toBe('server_unreachable')
      await popup.close()
      await page.close()
    } finally {
      await dying.stop()
    }
  })
})

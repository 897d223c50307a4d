/**
 * Every code that a run can fail with, provoked through the real extension: what the popup says, and what support finds
 * behind the ID. A code without a case here fails the last test.
 */
import { mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { expect, type Page } from '@playwright/test'
import { type Behaviour, type OpenAiEndpoint, startOpenAiEndpoint } from '../fixtures/llm/openai-endpoint.ts'
import { SPAN_GENERATE } from '../names.ts'
import { obedientTectonic } from '../ops/alerts/broken/tectonic.ts'
import { endOfRun, newestRun, report } from '../ops/demonstration.ts'
import { urlOf } from '../ops/postings.ts'
import { newRunClient } from '../ops/run-client.ts'
import type { Stack } from '../ops/stack.ts'
import { signInLink } from '../ops/support.ts'
import type { ToolbarPopup } from '../ops/toolbar-popup.ts'
import { entryOf } from '../relay/diagnosis.ts'
import { FAILURE_CODES, FAILURES, type FailureCode } from '../server/contract.ts'
import { anotherStack, bundledProfile, type Journey, RUNBOOKS, rowsNamed, test } from './journey.ts'
import type { RunState } from './run-state.ts'

const POSTING = 'json-ld-graph.html'
/** Runs that a server has under way or waiting at most. */
const MAX_ACTIVE = 128

/** Codes that no click leads to, and why. */
const NOT_OF_A_CLICK: Partial<Record<FailureCode, string>> = {
  sandbox_unavailable: 'of LaTeX from outside only: POST /compile, which the extension never asks for',
}
const provoked = new Set<FailureCode>()

/** A test that ends in this failure. */
function failing(code: FailureCode, how: string, body: (journey: Journey) => Promise<void>): void {
  provoked.add(code)
  test(`${code}: ${how}`, ({ journey }) => body(journey))
}

/** Presses Generate and holds what the popup then says against what the failure's entry promises. */
async function generateAndFail(
  journey: Journey,
  code: FailureCode,
  url = urlOf(POSTING),
  meanwhile?: (popup: ToolbarPopup, page: Page) => Promise<void>,
): Promise<RunState> {
  const page = await journey.browser.context.newPage()
  await page.goto(url)
  const popup = await journey.browser.openPopup(page)
  const before = await newestRun(journey.browser)
  await popup.click('generate')
  await meanwhile?.(popup, page)
  const run = await endOfRun(journey.browser, before?.id)
  expect(run.failure?.code).toBe(code)
  if (code !== 'cancelled') {
    expect(await popup.waitForText('failure-code')).toBe(code)
    expect(await popup.text('failure-message')).toBe(FAILURES[code].message)
    expect(await popup.text('failure-advice')).toBe(run.failure?.advice)
  }
  expect(await popup.text('run-id')).toBe(run.id.slice(0, 8))
  await popup.close()
  await page.close()
  return run
}

/** The console says the same to support: the sentence, what stands behind it, the span in which it broke, the runbook. */
async function expectExplained({ browser }: Journey, run: RunState, code: FailureCode, culprit: string, at: string) {
  const page = await browser.context.newPage()
  await page.goto(await signInLink(at, `/support/${run.id}`))
  const { meaning, tell, runbook } = entryOf(code)
  await expect(page.locator('h1')).toContainText(FAILURES[code].message.slice(1))
  await expect(page.locator('.meaning')).toHaveText(meaning)
  await expect(page.locator('#tell')).toHaveText(tell)
  await expect(page.locator('.facts')).toContainText(code)
  await expect(page.locator('.culprit .label')).toHaveText(culprit)
  await expect(page.locator('.culprit .mark').first()).toContainText('failed')
  await expect(page.locator('.culprit .attributes').first()).toContainText(code)
  const link = page.locator('.runbook a')
  if (runbook) await expect(link).toHaveAttribute('href', `${RUNBOOKS}/${runbook}`)
  else await expect(link).toHaveCount(0)
  await page.close()
}

interface Marked {
  /** The stage, or what else of ours failed. */
  span: string
  /** Where it broke, if that is a span below. */
  culprit?: string
  relayUrl?: string
}

/** The trace marks the root and the span that failed, each with the code; and the console explains it. */
async function expectMarked(
  journey: Journey,
  run: RunState,
  code: FailureCode,
  { span, culprit = span, relayUrl }: Marked,
) {
  const waterfall = await journey.trace(run, relayUrl)
  expect(waterfall.root).toMatchObject({ status: 'error', failureCode: code })
  expect(rowsNamed(waterfall, span).filter(({ status }) => status === 'error')).toMatchObject([{ failureCode: code }])
  await expectExplained(journey, run, code, culprit, relayUrl ?? journey.relayUrl)
  return waterfall
}

/** Where a stack puts its PDFs. */
const distOf = (stack: Stack) => join(dirname(stack.logs.server), 'dist')

/** A browser that is nobody yet, to this relay: what is in the worker's memory goes, too. */
async function asAnotherInstall(journey: Journey, relayUrl: string): Promise<void> {
  await journey.anotherWorker()
  await journey.settings('short', relayUrl)
}

failing('profile_missing', 'nothing is in the options', async (journey) => {
  await journey.settings(undefined)
  const run = await generateAndFail(journey, 'profile_missing')
  await expectMarked(journey, run, 'profile_missing', { span: 'generate resume' })
})

failing('profile_invalid', 'a profile without a name', async (journey) => {
  await journey.settings({ basics: { name: '' } })
  const run = await generateAndFail(journey, 'profile_invalid')
  await expectMarked(journey, run, 'profile_invalid', { span: SPAN_GENERATE, culprit: 'POST /generate' })
})

for (const page of ['not-a-posting.html', 'article-about-jobs.html']) {
  failing('posting_not_found', page, async (journey) => {
    await journey.settings('short')
    const run = await generateAndFail(journey, 'posting_not_found', urlOf(page))
    const waterfall = await expectMarked(journey, run, 'posting_not_found', { span: 'extract' })
    const gaveUp = rowsNamed(waterfall, 'extract strategy').map(
      ({ attributes }) => attributes['pass_ats.extract.gave_up'],
    )
    expect(gaveUp.at(-1), 'the last strategy says why').toBe('not_a_posting')
  })
}

failing('page_unreadable', 'a page that the browser closes to extensions', async (journey) => {
  await journey.settings('short')
  const run = await generateAndFail(journey, 'page_unreadable', 'chrome://version/')
  await expectMarked(journey, run, 'page_unreadable', { span: 'content/extract_posting' })
})

failing('page_interrupted', 'the page is busy, and then closed', async (journey) => {
  await journey.settings('short')
  const page = await journey.browser.context.newPage()
  await page.goto(urlOf(POSTING))
  const popup = await journey.browser.openPopup(page)
  await page.evaluate(() => {
    setTimeout(() => {
      for (;;) Math.random()
    })
  })
  await popup.click('generate')
  await expect.poll(() => newestRun(journey.browser)).toBeTruthy()
  await journey.browser.worker.evaluate(async () => {
    const [tab] = await chrome.tabs.query({ active: true, lastFocusedWindow: true })
    await chrome.tabs.remove(tab?.id ?? 0)
  })
  const run = await endOfRun(journey.browser)
  expect(run.failure?.code).toBe('page_interrupted')
  await expectMarked(journey, run, 'page_interrupted', { span: 'content/extract_posting' })
})

failing('relay_unreachable', 'the relay is down, and the trace arrives once it is back', async (journey) => {
  const gone = await anotherStack({}, '')
  await gone.stop()
  await journey.settings('short', gone.relayUrl)
  const run = await generateAndFail(journey, 'relay_unreachable')
  await journey.settings('short')
  expect(await journey.generate(POSTING)).toMatchObject({ status: 'done' })
  await expectMarked(journey, run, 'relay_unreachable', { span: SPAN_GENERATE, culprit: 'POST' })
})

failing('request_too_large', 'a profile of half a megabyte', async (journey) => {
  const profile = await bundledProfile('short')
  await journey.settings({ ...profile, meta: { notes: 'x'.repeat(600_000) } })
  const run = await generateAndFail(journey, 'request_too_large')
  await expectMarked(journey, run, 'request_too_large', { span: SPAN_GENERATE, culprit: 'POST /generate' })
})

failing('request_invalid', 'an extension of another age, which leaves the posting’s title out', async (journey) => {
  await journey.settings('short')
  await journey.browser.worker.evaluate(() => {
    const { fetch } = globalThis
    globalThis.fetch = (input, init) => {
      if (!String(input).endsWith('/generate')) return fetch(input, init)
      const body = JSON.parse(String(init?.body))
      delete body.posting.title
      return fetch(input, { ...init, body: JSON.stringify(body) })
    }
  })
  try {
    const run = await generateAndFail(journey, 'request_invalid')
    await expectMarked(journey, run, 'request_invalid', { span: SPAN_GENERATE, culprit: 'POST /generate' })
  } finally {
    await journey.anotherWorker()
  }
})

failing('unsupported_character', 'one that no font has, named', async (journey) => {
  const profile = await bundledProfile('short')
  await journey.settings({ ...profile, basics: { ...(profile.basics as object), label: 'Mechanic 日' } })
  const run = await generateAndFail(journey, 'unsupported_character')
  expect(run.failure?.detail).toBe('“日” (U+65E5) in basics.label')
  await expectMarked(journey, run, 'unsupported_character', { span: 'latex' })
})

failing('resume_too_long', 'thirty employers with long names', async (journey) => {
  const work = Array.from({ length: 30 }, (_, n) => ({
    ...{ name: `Employer ${n} `.padEnd(190, 'of many words '), position: 'Engineer '.repeat(20).trim() },
    ...{ startDate: '2001-01', endDate: '2002-01', summary: 'Built and ran things. '.repeat(80).trim() },
  }))
  await journey.settings({ ...(await bundledProfile('short')), work })
  const run = await generateAndFail(journey, 'resume_too_long')
  await expectMarked(journey, run, 'resume_too_long', { span: 'latex' })
})

failing('interrupted', 'the machine slept for longer than a run may take', async (journey) => {
  await journey.settings('short')
  await journey.browser.worker.evaluate(() => {
    const { now } = Date
    Date.now = () => now() + 9 * 60_000
  })
  try {
    const run = await generateAndFail(journey, 'interrupted')
    await expectMarked(journey, run, 'interrupted', { span: SPAN_GENERATE })
  } finally {
    await journey.anotherWorker()
  }
})

failing('latex_invalid', 'a template that is not LaTeX', async (journey) => {
  const folder = await mkdtemp(join(tmpdir(), 'pass-ats-template-'))
  const template = join(folder, 'broken.tex')
  await writeFile(template, '\\documentclass{article}\n\\begin{document}\n\\nosuchcommand @BODY@\n\\end{document}\n')
  const stack = await anotherStack({ RESUME_TEMPLATE: template })
  const { relayUrl } = stack
  try {
    await journey.settings('short', relayUrl)
    const run = await generateAndFail(journey, 'latex_invalid')
    const waterfall = await expectMarked(journey, run, 'latex_invalid', { span: 'compile', relayUrl })
    // Its fonts could not even be measured, which is done before any run: the stage tells where it is wrong.
    expect(rowsNamed(waterfall, 'compile')[0]?.attributes).toMatchObject({ 'pass_ats.latex.error.line': 3 })
  } finally {
    await stack.stop()
    await rm(folder, { recursive: true })
  }
})

failing('runs_unavailable', 'servers that share a Redis cannot reach it', async (journey) => {
  const stack = await anotherStack({ RUN_STORE: 'redis', REDIS_URL: 'redis://127.0.0.1:1' }, '')
  const { relayUrl } = stack
  try {
    await journey.settings('short', relayUrl)
    const run = await generateAndFail(journey, 'runs_unavailable')
    await expectMarked(journey, run, 'runs_unavailable', { span: SPAN_GENERATE, culprit: 'POST /generate', relayUrl })
  } finally {
    await stack.stop()
  }
})

test.describe('Tectonic', () => {
  let tectonic: Awaited<ReturnType<typeof obedientTectonic>>
  let stack: Stack
  const closing: (() => unknown)[] = []
  test.beforeAll(async () => {
    tectonic = await obedientTectonic(closing)
    stack = await anotherStack({}, tectonic.toolchainPath)
    closing.push(() => stack.stop())
    // The template is measured first, by the same Tectonic.
    await expect.poll(async () => (await fetch(`${stack.serverUrl}/readyz`)).ok, { timeout: 60_000 }).toBe(true)
  })
  test.afterAll(async () => {
    for (const close of closing.toReversed()) await close()
  })

  const cases = [
    ['tectonic_crash', 'crash', 'compile', 'tectonic'],
    ['out_of_memory', 'memory', 'compile', 'tectonic'],
    ['compile_timeout', 'time', 'compile', 'tectonic'],
    ['output_too_large', 'size', 'compile', 'tectonic'],
    ['pdf_invalid', 'damage', 'validate', 'validate'],
  ] as const
  for (const [code, mode, span, culprit] of cases) {
    failing(code, `ends by “${mode}”`, async (journey) => {
      const { relayUrl } = stack
      await journey.settings('short', relayUrl)
      await tectonic.does(mode)
      const run = await generateAndFail(journey, code)
      await expectMarked(journey, run, code, { span, culprit, relayUrl })
    })
  }

  failing('tectonic_unavailable', 'is not where it was', async (journey) => {
    const { relayUrl } = stack
    await journey.settings('short', relayUrl)
    await rename(tectonic.program, `${tectonic.program}.away`)
    try {
      const run = await generateAndFail(journey, 'tectonic_unavailable')
      await expectMarked(journey, run, 'tectonic_unavailable', { span: 'compile', culprit: 'tectonic', relayUrl })
    } finally {
      await rename(`${tectonic.program}.away`, tectonic.program)
    }
  })

  failing('internal', 'works, and the folder for its PDFs is gone', async (journey) => {
    const { relayUrl } = stack
    await journey.settings('short', relayUrl)
    await tectonic.does('work')
    const folder = distOf(stack)
    await rename(folder, `${folder}.away`)
    try {
      const run = await generateAndFail(journey, 'internal')
      await expectMarked(journey, run, 'internal', { span: 'validate', relayUrl })
    } finally {
      await rename(`${folder}.away`, folder)
    }
  })
})

test.describe('a model', () => {
  let endpoint: OpenAiEndpoint
  let stack: Stack
  test.beforeAll(async () => {
    endpoint = await startOpenAiEndpoint()
    stack = await anotherStack({ LLM_BASE_URL: endpoint.baseUrl, LLM_MODEL: 'm-1', LLM_TIMEOUT_MS: '8000' })
  })
  test.afterAll(async () => {
    await stack.stop()
    await endpoint.close()
  })

  // In this order: after five answers in a row that were none, the server leaves the model alone. Two of them are some.
  const cases: [FailureCode, Behaviour, string][] = [
    ['llm_unauthorized', 'error_401', '401'],
    ['llm_misconfigured', 'error_404', '404'],
    ['llm_rate_limited', 'error_429', '429'],
    ['llm_invalid_output', 'nonsense', 'not_json'],
    ['llm_error', 'error_500', '500'],
    ['llm_refused', 'refused', 'refusal'],
    ['llm_timeout', 'silent', 'deadline'],
    ['llm_unavailable', 'reset', 'no_connection'],
  ]
  for (const [code, behaviour, errorType] of cases) {
    failing(code, `answers ${behaviour}`, async (journey) => {
      const { relayUrl } = stack
      endpoint.behaviour = behaviour
      await journey.settings('short', relayUrl)
      const run = await generateAndFail(journey, code)
      const waterfall = await expectMarked(journey, run, code, { span: 'llm', culprit: 'chat m-1', relayUrl })
      const [chat] = rowsNamed(waterfall, 'chat m-1').toReversed()
      expect(chat).toMatchObject({ status: 'error', failureCode: code, attributes: { 'error.type': errorType } })
    })
  }

  failing('run_not_found', 'is thinking while the browser loses its worker, and who it is', async (journey) => {
    const { relayUrl } = stack
    endpoint.behaviour = 'stalled'
    await asAnotherInstall(journey, relayUrl)
    const asked = endpoint.requests.length
    const page = await journey.browser.context.newPage()
    await page.goto(urlOf(POSTING))
    const popup = await journey.browser.openPopup(page)
    await popup.click('generate')
    await expect.poll(() => endpoint.requests.length).toBeGreaterThan(asked)
    await popup.close()
    await journey.browser.worker.evaluate(() => chrome.storage.local.remove('access'))
    await journey.anotherWorker()
    const run = await endOfRun(journey.browser)
    expect(run.failure?.code).toBe('run_not_found')
    await page.close()
    await expectMarked(journey, run, 'run_not_found', { span: SPAN_GENERATE, culprit: 'POST /generate', relayUrl })
  })

  failing('cancelled', 'is thinking when the person cancels: nothing is marked as failed', async (journey) => {
    const { relayUrl } = stack
    endpoint.behaviour = 'stalled'
    await journey.settings('short', relayUrl)
    const asked = endpoint.requests.length
    const run = await generateAndFail(journey, 'cancelled', urlOf(POSTING), async (popup) => {
      await expect.poll(() => endpoint.requests.length).toBeGreaterThan(asked)
      await popup.click('cancel')
    })
    await journey.trace(run, relayUrl)
    const page = await journey.browser.context.newPage()
    await page.goto(await signInLink(relayUrl, `/support/${run.id}`))
    await expect(page.locator('h1')).toContainText('Cancelled by the person after')
    await expect(page.locator('#tell')).toHaveText(entryOf('cancelled').tell)
    await expect(page.locator('.facts')).toContainText('cancelled')
    await expect(page.locator('.mark, .culprit, .runbook')).toHaveCount(0)
    await page.close()
  })

  failing('storage_full', 'is done when there is no room for the PDF', async (journey) => {
    const { relayUrl } = stack
    endpoint.behaviour = 'held'
    await journey.settings('short', relayUrl)
    const asked = endpoint.requests.length
    const run = await generateAndFail(journey, 'storage_full', urlOf(POSTING), async () => {
      await expect.poll(() => endpoint.requests.length).toBeGreaterThan(asked)
      const { id } = (await newestRun(journey.browser)) ?? {}
      // Takes no byte, as a disk that is full.
      await symlink('/dev/full', join(distOf(stack), `${id}.pdf.part`))
      endpoint.release()
    })
    await expectMarked(journey, run, 'storage_full', { span: 'validate', relayUrl })
  })

  test('is still thinking when the server dies', async ({ journey }) => {
    endpoint.behaviour = 'stalled'
    const dying = await anotherStack({ LLM_BASE_URL: endpoint.baseUrl, LLM_MODEL: 'm-1' })
    try {
      await journey.settings('short', dying.relayUrl)
      const asked = endpoint.requests.length
      await generateAndFail(journey, 'server_unreachable', urlOf(POSTING), async () => {
        await expect.poll(() => endpoint.requests.length).toBeGreaterThan(asked)
        dying.server.kill('SIGKILL')
      })
    } finally {
      await dying.stop()
    }
  })
})

test.describe('a stack', () => {
  let endpoint: OpenAiEndpoint
  let stack: Stack
  test.beforeAll(async () => {
    endpoint = await startOpenAiEndpoint('silent')
    const model = { LLM_BASE_URL: endpoint.baseUrl, LLM_MODEL: 'm-1' }
    // Without tokens left rules would choose, and runs that are to wait for the model would end.
    const tokens = { LLM_DAILY_TOKENS_INSTALL: '1000000000', LLM_DAILY_TOKENS_OVERALL: '1000000000' }
    // An install has one run in the hour here: the one that is turned away, or the one after it.
    stack = await anotherStack({ ...model, ...tokens, RELAY_QUOTA_INSTALL: 'runs=1' })
  })
  test.afterAll(async () => {
    await stack.stop()
    await endpoint.close()
  })

  failing('overloaded', 'has as many runs as it takes', async (journey) => {
    const { relayUrl } = stack
    const others = await newRunClient(relayUrl, stack.syntheticKey)
    const profile = await bundledProfile('short')
    const posting = { source: 'json-ld', title: 'Engineer', company: 'Acme', location: '', description: 'Kafka and Go' }
    await Promise.all(Array.from({ length: MAX_ACTIVE }, () => others.post({ profile, posting })))
    await asAnotherInstall(journey, relayUrl)
    const run = await generateAndFail(journey, 'overloaded')
    await expectMarked(journey, run, 'overloaded', { span: SPAN_GENERATE, culprit: 'POST /generate', relayUrl })
  })

  failing('not_allowed', 'whose server is asked without its relay', async (journey) => {
    await journey.settings('short', stack.serverUrl)
    const run = await generateAndFail(journey, 'not_allowed')
    // What was refused was a token, which is part of no run: there is no other side of it to wait for.
    await journey.settings('short')
    await report(journey.browser, run.id)
    await expectExplained(journey, run, 'not_allowed', 'POST', journey.relayUrl)
  })

  failing('server_unreachable', 'whose server is down', async (journey) => {
    const { relayUrl } = stack
    await stack.killServer()
    await asAnotherInstall(journey, relayUrl)
    const run = await generateAndFail(journey, 'server_unreachable')
    await expectMarked(journey, run, 'server_unreachable', { span: SPAN_GENERATE, culprit: 'POST /generate', relayUrl })
  })

  failing('rate_limited', 'that has given this install what it gives in an hour', async (journey) => {
    const { relayUrl } = stack
    await asAnotherInstall(journey, relayUrl)
    await generateAndFail(journey, 'server_unreachable')
    const run = await generateAndFail(journey, 'rate_limited')
    await expectMarked(journey, run, 'rate_limited', { span: SPAN_GENERATE, culprit: 'POST /generate', relayUrl })
  })
})

test('every code that a run can fail with has a case here, or a reason why not', () => {
  const without = FAILURE_CODES.filter((code) => !provoked.has(code) && !Object.hasOwn(NOT_OF_A_CLICK, code))
  expect(without).toEqual([])
  expect(Object.keys(NOT_OF_A_CLICK).filter((code) => provoked.has(code as FailureCode))).toEqual([])
})

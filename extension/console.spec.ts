/** The support console in a browser: what axe finds, what works by keyboard and without JavaScript, and a page that follows a run. */

import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { type Browser, test as base, chromium, expect, type Page } from '@playwright/test'
import type { AxeResults } from 'axe-core'
import { CLIENT_ID, CLIENT_SECRET, startOidcProvider } from '../fixtures/oidc/provider.ts'
import * as names from '../names.ts'
import { freePort } from '../ops/free-port.ts'
import { findChromium } from '../ops/setup/chromium.ts'
import { Progress } from '../ops/setup/progress.ts'
import { type Stack, startTemporaryStack } from '../ops/stack.ts'
import { asSupport, signInLink } from '../ops/support.ts'
import { RUNBOOKS } from './journey.ts'

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

const test = base.extend<{ console: Page }, { stack: Stack; chromium_: Browser }>({
  stack: [
    // biome-ignore lint/correctness/noEmptyPattern: Playwright reads the fixture's dependencies from the pattern.
    async ({}, use) => {
      const env = { RELAY_RUNBOOKS: RUNBOOKS, RELAY_TRACE_LINKS: 'Jaeger=https://jaeger.example/trace/{trace_id}' }
      const stack = await startTemporaryStack({ toolchainPath: '', env, tracesByHand: true })
      await use(stack)
      await stack.stop()
    },
    { scope: 'worker' },
  ],
  chromium_: [
    // biome-ignore lint/correctness/noEmptyPattern: as above.
    async ({}, use) => {
      const executablePath = await findChromium(new Progress(process.stderr))
      const browser = await chromium.launch({ executablePath, args: process.getuid?.() === 0 ? ['--no-sandbox'] : [] })
      await use(browser)
      await browser.close()
    },
    { scope: 'worker' },
  ],
  /** Signed in; what a strict policy stops, or a script throws, fails the test. */
  console: async ({ stack, chromium_: browser }, use) => {
    const context = await browser.newContext({ permissions: ['clipboard-read', 'clipboard-write'] })
    const page = await context.newPage()
    const complaints: string[] = []
    page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()))
    page.on('pageerror', (error) => complaints.push(error.message))
    await page.goto(await signInLink(stack.relayUrl))
    await use(page)
    expect(complaints.filter((text) => !/status of (400|404)/.test(text))).toEqual([])
    await context.close()
  },
})

interface Sent {
  service: string
  spanId: string
  parent?: string
  name: string
  from: number
  ms: number
  code?: string
}

/** Sends spans of a trace as a service does; times in milliseconds from now. */
async function send(stack: Stack, traceId: string, spans: Sent[]): Promise<void> {
  const nanos = (ms: number) => String(BigInt(Math.round(Date.now() + ms)) * 1_000_000n)
  const attribute = (key: string, stringValue: string) => ({ key, value: { stringValue } })
  const resourceSpans = spans.map(({ service, spanId, parent, name, from, ms, code }) => ({
    resource: { attributes: [attribute(names.RESOURCE_SERVICE_NAME, service)] },
    scopeSpans: [
      {
        spans: [
          {
            ...{ traceId, spanId: spanId.padStart(16, '0'), name, kind: 1 },
            ...(parent ? { parentSpanId: parent.padStart(16, '0') } : {}),
            ...{ startTimeUnixNano: nanos(from), endTimeUnixNano: nanos(from + ms) },
            ...(code
              ? {
                  status: { code: 2 },
                  attributes: [attribute(names.ATTR_FAILURE_CODE, code), attribute(names.ATTR_STAGE, name)],
                }
              : {}),
          },
        ],
      },
    ],
  }))
  const answer = await fetch(`${stack.relayUrl}/v1/traces`, {
    method: 'POST',
    body: JSON.stringify({ resourceSpans }),
    headers: { authorization: `Bearer ${stack.serviceKey}`, 'content-type': 'application/json' },
  })
  expect(answer.status).toBe(200)
}

const newId = () => crypto.randomUUID().replaceAll('-', '')
const { SERVICE_EXTENSION: extension, SERVICE_SERVER: server, SPAN_COMPILE, SPAN_GENERATE, SPAN_RUN } = names
const root = (code?: string): Sent => ({
  ...{ service: extension, spanId: 'a0', name: SPAN_RUN, from: -4_000, ms: 4_000 },
  ...(code ? { code } : {}),
})
const compile = (code?: string): Sent => ({
  ...{ service: server, spanId: 'c0', parent: 'a0', name: SPAN_COMPILE, from: -3_000, ms: 2_500 },
  ...(code ? { code } : {}),
})

/** In both colour schemes and at both widths, and nothing may be wider than the page. */
async function expectAccessible(page: Page): Promise<void> {
  await page.evaluate(() => {
    for (const details of document.querySelectorAll('details')) details.open = true
  })
  for (const width of [1280, 390]) {
    await page.setViewportSize({ width, height: 900 })
    for (const colorScheme of ['light', 'dark'] as const) {
      await page.emulateMedia({ colorScheme })
      // The policy lets no script in but the console's own; the debugger's is not the page's.
      await page.evaluate(AXE)
      const { violations } = (await page.evaluate('axe.run()')) as AxeResults
      const found = violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`)
      expect(found, `${page.url()} ${width} ${colorScheme}`).toEqual([])
    }
    expect(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)).toBeLessThanOrEqual(0)
  }
}

test('axe finds nothing wrong on any page, wide and narrow, light and dark', async ({ stack, console: page }) => {
  const [failed, done, open, twin] = [newId(), newId(), newId(), newId()]
  await send(stack, failed, [root('tectonic_crash'), compile('tectonic_crash')])
  await send(stack, done, [root(), compile()])
  await send(stack, open, [compile()])
  await send(stack, `${twin.slice(0, 31)}0`, [root()])
  await send(stack, `${twin.slice(0, 31)}1`, [root()])
  const to = (path: string) => page.goto(`${stack.relayUrl}${path}`)
  for (const path of [
    '/support?outcome=failed',
    '/support?version=none',
    '/support?id=nonsense',
    `/support/${failed}`,
    `/support/${done}`,
    `/support/${open}`,
    `/support/${twin.slice(0, 12)}`,
    '/support/audit',
    '/support/sign-in',
  ]) {
    await to(path)
    await expectAccessible(page)
  }
})

test('By keyboard: past the header, the words for the person are copied, and a span is opened', async ({
  stack,
  console: page,
}) => {
  const id = newId()
  await send(stack, id, [root('tectonic_crash'), compile('tectonic_crash')])
  await page.goto(`${stack.relayUrl}/support/${id}`)
  await page.keyboard.press('Tab')
  await expect(page.getByText('Skip to the content')).toBeFocused()
  await page.keyboard.press('Enter')
  await page.keyboard.press('Tab')
  await expect(page.getByRole('link', { name: 'Runbook' })).toBeFocused()
  await page.keyboard.press('Tab')
  await expect(page.getByRole('button', { name: 'Copy', exact: true })).toBeFocused()
  await page.keyboard.press('Enter')
  await expect(page.locator('#announcement')).toHaveText('Copied')
  const told = await page.locator('#tell').textContent()
  expect(await page.evaluate(() => navigator.clipboard.readText())).toBe(told)
  const first = page.locator('.waterfall summary').first()
  await first.focus()
  await page.keyboard.press('Enter')
  await expect(page.locator('.waterfall details').first()).toHaveAttribute('open', '')
})

test('A page follows its run: what comes is shown without a reload, and what was open stays open', async ({
  stack,
  console: page,
}) => {
  const id = newId()
  await send(stack, id, [compile()])
  await page.goto(`${stack.relayUrl}/support/${id}`)
  await expect(page.locator('h1')).toContainText('under way')
  await page.evaluate(() => Object.assign(window, { same: true }))
  await page.locator('.waterfall summary').first().click()
  await send(stack, id, [
    { service: extension, spanId: 'b0', parent: 'a0', name: SPAN_GENERATE, from: -3_900, ms: 3_800 },
  ])
  await expect(page.locator('.waterfall > li')).toHaveCount(2)
  await expect(page.locator('.waterfall details[open] .label')).toHaveText(SPAN_COMPILE)
  await send(stack, id, [root()])
  await expect(page.locator('h1')).toContainText('Done: the resume reached the browser')
  await expect(page.locator('#announcement')).toContainText('Done')
  expect(await page.evaluate(() => 'same' in window), 'never loaded again').toBe(true)
})

test('Without JavaScript staff sign in, find a run, read it, keep it and sign out', async ({
  stack,
  chromium_: browser,
}) => {
  const id = newId()
  await send(stack, id, [root(), compile()])
  const context = await browser.newContext({ javaScriptEnabled: false })
  const page = await context.newPage()
  const link = await signInLink(stack.relayUrl)
  await page.goto(link)
  await page.getByLabel('Trace ID').fill(` ${id.slice(0, 12).toUpperCase()} `)
  await page.getByRole('button', { name: 'Look up' }).click()
  await expect(page.locator('h1')).toContainText('Done:')
  await expect(page.locator('#tell')).toContainText('Your resume was made.')
  await expect(page.getByRole('button', { name: 'Copy' }), 'which would do nothing').toHaveCount(0)
  await expect(page.locator('.stay')).toContainText('unless somebody reports it')
  await page.getByRole('button', { name: 'Keep' }).click()
  await expect(page.locator('.stay')).toContainText('because somebody reported it')
  await page.locator('.waterfall summary').first().click()
  await expect(page.getByText('span ID').first()).toBeVisible()
  await page.getByRole('button', { name: /^Sign out/ }).click()
  await expect(page.locator('h1')).toHaveText('Sign in')
  await page.goto(`${stack.relayUrl}/support/${id}`)
  await expect(page.locator('h1')).toHaveText('Sign in')
  await page.getByLabel('Support token').fill(asSupport(stack.relayUrl).authorization.slice('Bearer '.length))
  await page.getByRole('button', { name: 'Sign in' }).click()
  await expect(page.locator('h1'), 'where they wanted to be').toContainText('Done:')
  await page.goto(link)
  await expect(page.getByRole('alert')).toContainText('used already')
  await context.close()
})

test('Staff sign in with an account of another site, without JavaScript too, and are where they wanted to be', async ({
  chromium_: browser,
}) => {
  // The provider knows where to send people back to before there is a relay.
  const relayPort = await freePort()
  const returnUrl = `http://127.0.0.1:${relayPort}/support/oidc/return`
  const provider = await startOidcProvider(returnUrl)
  provider.account = { sub: '248289761001', claims: { email: 'ada@example.com', email_verified: true } }
  const env = {
    ...{ RELAY_OIDC_ISSUER: provider.issuer, RELAY_OIDC_REDIRECT_URL: returnUrl },
    ...{ RELAY_OIDC_CLIENT_ID: CLIENT_ID, RELAY_OIDC_CLIENT_SECRET: CLIENT_SECRET },
    ...{ RELAY_OIDC_ALLOW: 'domain:example.com', RELAY_OIDC_NAME: 'Example' },
    ...{ RELAY_METRICS_PORT: '0', SERVER_METRICS_PORT: '0' },
  }
  const stack = await startTemporaryStack({ toolchainPath: '', relayPort, env })
  try {
    for (const javaScriptEnabled of [true, false]) {
      const context = await browser.newContext({ javaScriptEnabled })
      const page = await context.newPage()
      const wanted = `${stack.relayUrl}/support?outcome=failed`
      await page.goto(wanted)
      if (javaScriptEnabled) await expectAccessible(page)
      await page.getByRole('link', { name: 'Sign in with Example' }).click()
      // What another site has begun brings no strict cookie along: a redirect back would end where it began.
      await page.waitForURL(wanted)
      await expect(page.getByRole('button', { name: 'Sign out ada@example.com' })).toBeVisible()
      await page.reload()
      await expect(page.locator('h1')).toHaveText('What happened to a run?')
      await context.close()
    }
  } finally {
    await stack.stop()
    await provider.close()
  }
})

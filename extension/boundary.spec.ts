import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from '@playwright/test'
import { EXTENSION_DIR } from '../ops/browser.ts'
import { urlOf } from '../ops/postings.ts'
import { test } from './journey.ts'

test('the extension asks for little, and shows nothing to pages', () => {
  const manifest = JSON.parse(readFileSync(join(EXTENSION_DIR, 'manifest.json'), 'utf8'))
  expect(manifest.permissions).toEqual(['activeTab', 'alarms', 'scripting', 'storage'])
  expect(manifest.host_permissions).toEqual(['http://127.0.0.1/*'])
  expect(manifest).not.toHaveProperty('web_accessible_resources')
  expect(manifest).not.toHaveProperty('content_scripts')
  const scripts = readdirSync(EXTENSION_DIR, { recursive: true, encoding: 'utf8' }).filter((file) =>
    file.endsWith('.js'),
  )
  const evaluating = scripts.filter((file) =>
    /\beval\(|new Function\(/.test(readFileSync(join(EXTENSION_DIR, file), 'utf8')),
  )
  expect(
    evaluating.filter((file) => !/contract/.test(file)),
    'zod has one, and is told not to use it',
  ).toEqual([])
})

test('a page of the extension loads nothing from elsewhere, and needs nothing that its policy forbids', async ({
  journey,
}) => {
  await journey.settings('short')
  const { id } = await journey.generate('lever.html')
  for (const path of ['popup/popup.html', 'options/options.html', `resume/resume.html#${id}`]) {
    const page = await journey.browser.context.newPage()
    const refused: string[] = []
    page.on('console', (message) => {
      if (/Content Security Policy/.test(message.text())) refused.push(message.text())
    })
    await page.goto(new URL(path, journey.browser.worker.url()).href)
    await page.waitForLoadState('networkidle')
    expect(refused, path).toEqual([])
    const directives = await page.evaluate(async () => {
      const { promise, resolve } = Promise.withResolvers<string[]>()
      // A set: what the browser's own policy forbids, too, is told twice.
      const seen = new Set<string>()
      document.addEventListener('securitypolicyviolation', ({ effectiveDirective }) => {
        if (seen.add(effectiveDirective).size === 4) resolve([...seen])
      })
      new Image().src = 'https://evil.example/pixel'
      const frame = Object.assign(document.createElement('iframe'), { src: 'https://evil.example/' })
      const script = Object.assign(document.createElement('script'), { src: 'https://evil.example/x.js' })
      const style = Object.assign(document.createElement('style'), { textContent: 'body { color: red }' })
      document.body.append(frame, script, style)
      return promise
    })
    expect(directives.toSorted(), path).toEqual(['frame-src', 'img-src', 'script-src-elem', 'style-src-elem'])
    await page.close()
  }
})

test('what runs in a page can neither read the profile, nor set where it goes, nor start a run', async ({
  journey,
}) => {
  await journey.settings('short')
  const page = await journey.browser.context.newPage()
  await page.goto(urlOf('lever.html'))
  // A person's click on the toolbar is what opens the page to the extension.
  const popup = await journey.browser.openPopup(page)
  await popup.close()
  const attempts = await journey.browser.worker.evaluate(async () => {
    const [tab] = await chrome.tabs.query({ active: true, currentWindow: true })
    const [injected] = await chrome.scripting.executeScript({
      target: { tabId: tab?.id ?? -1 },
      func: async () => {
        const said = (promise: Promise<unknown>) =>
          promise.then(
            (value) => value,
            (error) => String(error),
          )
        return {
          read: await said(chrome.storage.local.get('profile')),
          write: await said(chrome.storage.local.set({ relayUrl: 'https://evil.example' })),
          start: await said(
            chrome.runtime.sendMessage({ type: 'background/start_run', payload: { tabId: 1, clickedAt: 1 } }),
          ),
        }
      },
    })
    return injected?.result
  })
  expect(attempts?.read).toContain('Access to storage is not allowed')
  expect(attempts?.write).toContain('Access to storage is not allowed')
  const stored = await journey.browser.worker.evaluate(() => chrome.storage.local.get(['run', 'relayUrl']))
  expect(stored).toEqual({ relayUrl: journey.relayUrl })
  await page.close()
})

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

/** What each browser is told of the extension: its pages, what it may do, what its pages may load. */

import { defineManifest } from '@crxjs/vite-plugin'
import packageJson from '../package.json' with { type: 'json' }

/** The browsers there is a build for; Chromium stands for all that are made of it. */
export type Target = 'chromium' | 'firefox'

/** The manifest of one browser's build. */
export function manifestFor(target: Target) {
  return defineManifest({
    manifest_version: 3,
    name: 'PASS ATS',
    version: packageJson.version,
    description: packageJson.description.slice(0, 132),
    icons: { 16: 'icons/16.png', 32: 'icons/32.png', 48: 'icons/48.png', 128: 'icons/128.png' },
    action: { default_popup: 'popup/popup.html', default_title: 'PASS ATS: make a resume for this posting' },
    options_ui: { page: 'options/options.html', open_in_tab: true },
    // activeTab instead of hosts: pages are read when the person clicks, and at no other time.
    permissions: ['activeTab', 'alarms', 'scripting', 'storage'],
    // The relay on this machine. One elsewhere needs no permission: it answers CORS for extensions.
    host_permissions: ['http://127.0.0.1/*'],
    ...(target === 'firefox' ? FIREFOX : CHROMIUM),
  })
}

const BACKGROUND = 'background.ts'

/**
 * Of the extension's pages and its worker. The browsers' own would allow images, frames and styles from everywhere, by
 * which a page that shows somebody else's words could be made to tell them. Requests go to the relay, wherever the person
 * says that is; the PDF is shown in a frame. Firefox's viewer inherits the policy there and does not start, so Firefox
 * keeps its own.
 */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  'connect-src http: https:',
  'frame-src blob:',
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')

const CHROMIUM = {
  content_security_policy: { extension_pages: POLICY },
  background: { service_worker: BACKGROUND, type: 'module' as const },
  minimum_chrome_version: '132',
}

const FIREFOX = {
  // An event page: Firefox has no service workers for extensions, and it too is stopped after 30 idle seconds.
  background: { scripts: [BACKGROUND], type: 'module' as const },
  browser_specific_settings: {
    gecko: {
      id: 'extension@pass-ats.invalid',
      // The first that asks for consent to what is listed below on the desktop (140) and on Android (142) alike.
      strict_min_version: '142.0',
      data_collection_permissions: {
        // What a run is made of, and what leaves this browser with each: the profile, with name, e-mail address and
        // telephone number, and the posting's text. Not 'none', although the relay is by default on this machine and
        // always the person's choice: Mozilla counts whatever goes outside the browser.
        required: ['personallyIdentifyingInfo' as const, 'websiteContent' as const],
        // A run's trace: versions, durations and errors; and the posting's host name, which is a visited domain.
        optional: ['technicalAndInteraction' as const, 'browsingActivity' as const],
      },
    },
  },
}

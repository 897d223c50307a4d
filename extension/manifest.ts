import { defineManifest } from '@crxjs/vite-plugin'
import packageJson from '../package.json' with { type: 'json' }

export default defineManifest({
  manifest_version: 3,
  name: 'PASS ATS',
  version: packageJson.version,
  description: packageJson.description.slice(0, 132),
  icons: { 16: 'icons/16.png', 32: 'icons/32.png', 48: 'icons/48.png', 128: 'icons/128.png' },
  action: { default_popup: 'popup/popup.html', default_title: 'PASS ATS: make a resume for this posting' },
  options_ui: { page: 'options/options.html', open_in_tab: true },
  background: { service_worker: 'background.ts', type: 'module' },
  // activeTab instead of hosts: pages are read when the person clicks, and at no other time.
  permissions: ['activeTab', 'scripting', 'storage'],
  // The relay on this machine. One elsewhere needs no permission: it answers CORS for extensions.
  host_permissions: ['http://127.0.0.1/*'],
  minimum_chrome_version: '120',
})

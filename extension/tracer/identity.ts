/** Who a span is from, without saying who that is: random IDs, and what the browser tells every page anyway. */

import browser from 'webextension-polyfill'
import {
  RESOURCE_BROWSER_BRANDS,
  RESOURCE_BROWSER_LANGUAGE,
  RESOURCE_BROWSER_PLATFORM,
  RESOURCE_INSTALLATION_ID,
  RESOURCE_SERVICE_NAME,
  RESOURCE_SERVICE_VERSION,
  SERVICE_EXTENSION,
} from '../../names.ts'

interface UserAgentData {
  brands: { brand: string; version: string }[]
  platform: string
}

/** Random, and new with every start of the browser. */
export function sessionId(): Promise<string> {
  return randomIdIn(browser.storage.session, 'sessionId')
}

/** The resource of the extension's spans: service, browser and a random ID of this installation. */
export async function resourceAttributes(): Promise<Record<string, string>> {
  const agent = (navigator as Navigator & { userAgentData?: UserAgentData }).userAgentData
  return {
    [RESOURCE_SERVICE_NAME]: SERVICE_EXTENSION,
    [RESOURCE_SERVICE_VERSION]: browser.runtime.getManifest().version,
    [RESOURCE_INSTALLATION_ID]: await randomIdIn(browser.storage.local, 'installationId'),
    [RESOURCE_BROWSER_LANGUAGE]: navigator.language,
    ...(agent
      ? {
          [RESOURCE_BROWSER_BRANDS]: agent.brands.map(({ brand, version }) => `${brand} ${version}`).join(', '),
          [RESOURCE_BROWSER_PLATFORM]: agent.platform,
        }
      : { [RESOURCE_BROWSER_BRANDS]: await firefoxBrand() }),
  }
}

/** Firefox has no client hints, but tells its extensions what it is, e.g. `Firefox 153`. */
async function firefoxBrand(): Promise<string> {
  const { name, version } = await browser.runtime.getBrowserInfo()
  return `${name} ${Number.parseInt(version, 10)}`
}

/** New random IDs of installation and session. */
export async function renewIds(): Promise<void> {
  await browser.storage.local.remove('installationId')
  await browser.storage.session.remove('sessionId')
}

async function randomIdIn(area: browser.Storage.StorageArea, key: string): Promise<string> {
  const stored = await area.get(key)
  if (typeof stored[key] === 'string') return stored[key]
  const id = crypto.randomUUID()
  await area.set({ [key]: id })
  return id
}

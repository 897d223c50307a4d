/** The settings of the synthetic checks. The only file of theirs that reads the environment. */

import { readFileSync } from 'node:fs'

export interface Config {
  /** Origin of the relay, without a trailing slash. */
  url: string
  /** What the relay knows its checks by; undefined when there is none. */
  key: string | undefined
  /** Between two runs of the same check, milliseconds, more or less. */
  intervalMs: number
  /** Where the metrics are served; port 0 lets the system pick. */
  metrics: { host: string; port: number }
}

/** Where `npm start` leaves the key of its own stack, for the user who started it. */
export const LOCAL_KEY = new URL('../../data/synthetic-key', import.meta.url)
const LOCAL_URL = 'http://127.0.0.1:4318'

/** Reads the settings. Throws an Error that names the variable and what it must be. Messages never quote the key. */
export function readConfig(env: NodeJS.ProcessEnv = process.env): Config {
  const text = (name: string, fallback: string) => env[name]?.trim() || fallback
  const number = (name: string, fallback: number, least: number, most: number) => {
    const value = Number(text(name, String(fallback)))
    if (Number.isInteger(value) && value >= least && value <= most) return value
    throw new Error(`${name} must be a whole number from ${least} to ${most}.`)
  }
  const url = URL.parse(text('PASS_ATS_URL', LOCAL_URL))
  if (!url || !/^https?:$/.test(url.protocol)) throw new Error('PASS_ATS_URL must be an http or https URL.')
  return {
    url: url.origin,
    key: text('PASS_ATS_SYNTHETIC_KEY', '') || (url.origin === LOCAL_URL ? localKey() : undefined),
    intervalMs: number('PASS_ATS_SYNTHETIC_SECONDS', 300, 10, 1_500) * 1_000,
    metrics: {
      host: text('SYNTHETICS_METRICS_HOST', '127.0.0.1'),
      port: number('SYNTHETICS_METRICS_PORT', 9466, 0, 65_535),
    },
  }
}

function localKey(): string | undefined {
  try {
    return readFileSync(LOCAL_KEY, 'utf8').trim() || undefined
  } catch {
    return undefined
  }
}

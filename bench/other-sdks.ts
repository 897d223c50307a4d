/** The telemetry SDKs that a web extension would otherwise take, in the sizes they come in with tracing switched on. */

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { output } from '../ops/setup/program.ts'
import type { Progress } from '../ops/setup/progress.ts'
import { type BundleSize, bundleSize } from './bundle-size.ts'

/** Not dependencies: they are installed where and when they are measured. The code is their own documentation's. */
const SDKS: Record<string, { packages: Record<string, string>; code: string }> = {
  'Sentry browser': {
    packages: { '@sentry/browser': '11.12.0' },
    code: `import { browserTracingIntegration, init } from '@sentry/browser'
      init({ dsn: 'https://key@sentry.example/1', integrations: [browserTracingIntegration()], tracesSampleRate: 1 })`,
  },
  'Grafana Faro': {
    packages: { '@grafana/faro-web-sdk': '2.12.1', '@grafana/faro-web-tracing': '2.12.1' },
    code: `import { getWebInstrumentations, initializeFaro } from '@grafana/faro-web-sdk'
      import { TracingInstrumentation } from '@grafana/faro-web-tracing'
      const instrumentations = [...getWebInstrumentations(), new TracingInstrumentation()]
      initializeFaro({ url: 'https://faro.example', app: { name: 'app' }, instrumentations })`,
  },
  'Datadog RUM': {
    packages: { '@datadog/browser-rum': '7.16.2' },
    code: `import { datadogRum } from '@datadog/browser-rum'
      datadogRum.init({ applicationId: 'app', clientToken: 'token', allowedTracingUrls: ['https://api.example'] })`,
  },
}

export interface OtherSdk {
  packages: Record<string, string>
  /** Undefined when it could not be had or built; `absent` then says why. */
  size?: BundleSize
  absent?: string
}

/** Installs and measures each; one that cannot be had is reported as absent, and does not keep the others. */
export async function measureOtherSdks(progress: Progress): Promise<Record<string, OtherSdk>> {
  const measured: Record<string, OtherSdk> = {}
  for (const [name, { packages, code }] of Object.entries(SDKS)) {
    try {
      const size = await progress.step(name, async () => {
        const value = await measure(packages, code)
        return { value, shown: `${(value.gzipped / 1_000).toFixed(1)} kB` }
      })
      measured[name] = { packages, size }
    } catch (error) {
      measured[name] = { packages, absent: firstError(error as Error) }
    }
  }
  return measured
}

async function measure(packages: Record<string, string>, code: string): Promise<BundleSize> {
  const folder = await mkdtemp(join(tmpdir(), 'pass-ats-sdk-'))
  try {
    await writeFile(join(folder, 'package.json'), JSON.stringify({ private: true, dependencies: packages }))
    await writeFile(join(folder, 'entry.js'), code)
    const quiet = [
      '--ignore-scripts',
      '--no-audit',
      '--no-fund',
      '--fetch-retries=0',
      '--fetch-timeout=20000',
      '--loglevel=error',
    ]
    await output('npm', ['install', '--prefix', folder, ...quiet], { cwd: folder, timeout: INSTALL_MS })
    return await bundleSize(join(folder, 'entry.js'))
  } finally {
    await rm(folder, { recursive: true })
  }
}

const INSTALL_MS = 120_000

/** npm's warnings come first, and say nothing about why. */
function firstError({ message }: Error): string {
  const lines = message.trim().split('\n')
  return lines.find((line) => line.startsWith('npm error')) ?? lines[0] ?? ''
}

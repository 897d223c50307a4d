/** The extension's size, by what loads it: the browser at each start of the worker, a page at each run. */

import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Plugin } from 'vite'
import { buildExtension } from '../ops/extension-build.ts'
import type { Progress } from '../ops/setup/progress.ts'
import type { Target } from './bench.ts'
import { type BundleSize, builtSize, bundleSize } from './bundle-size.ts'
import { atMost } from './target.ts'

const EXTENSION = fileURLToPath(new URL('../extension', import.meta.url))

export interface ExtensionSize {
  /** The service worker's file with all that it imports. */
  background: BundleSize
  /** Of the background, our tracer with the OpenTelemetry SDK: what stands against another SDK. */
  tracer: BundleSize
  /** What every page gets in which a person presses Generate. */
  content: BundleSize
  /** Of the content script, what records its spans. */
  contentTelemetry: BundleSize
  /** What a page gets besides when nothing else finds a posting in it: Readability. */
  lastResort: BundleSize
}

/** Builds the extension in a folder of its own, and measures it. */
export async function measureExtension(progress: Progress): Promise<ExtensionSize> {
  const folder = await mkdtemp(join(tmpdir(), 'pass-ats-size-'))
  try {
    await buildExtension(progress, 'chromium', folder)
    const manifest = JSON.parse(await readFile(join(folder, 'manifest.json'), 'utf8'))
    const tracer = join(folder, 'tracer.ts')
    await writeFile(tracer, TRACER)
    const entry = join(EXTENSION, 'content.ts')
    const [whole, without] = [await bundleSize(entry), await bundleSize(entry, [noTelemetry])]
    return {
      background: await builtSize(folder, manifest.background.service_worker),
      tracer: await bundleSize(tracer),
      content: await builtSize(folder, 'content.js'),
      contentTelemetry: {
        minified: whole.minified - without.minified,
        gzipped: whole.gzipped - without.gzipped,
      },
      lastResort: await builtSize(folder, 'last-resort.js'),
    }
  } finally {
    await rm(folder, { recursive: true })
  }
}

/** What the sizes are held against, in kilobytes (1,000 bytes). */
export function sizeTargets({ background, content, contentTelemetry }: ExtensionSize): Target[] {
  return [
    atMost('background, with all that it imports, kB min+gzip', kilobytes(background), 30),
    atMost('content script, kB min+gzip', kilobytes(content), 20),
    atMost('what telemetry adds to the content script, kB min+gzip', kilobytes(contentTelemetry), 2),
  ]
}

const kilobytes = ({ gzipped }: BundleSize) => gzipped / 1_000

const TRACER = `
import { sessionId } from '${EXTENSION}/tracer/identity.ts'
import { Journal } from '${EXTENSION}/tracer/journal.ts'
import { Tracer } from '${EXTENSION}/tracer/tracer.ts'
import { Traces } from '${EXTENSION}/traces.ts'
const journal = new Journal()
const tracer = new Tracer(journal, await sessionId())
tracer.start('work', undefined).end()
await new Traces(journal).upload()
`

/** Builds the content script as if nobody wanted to know how long its tries take. */
export const noTelemetry: Plugin = {
  name: 'no-telemetry',
  load: (id) => (id.endsWith('/extension/attempts.ts') ? NO_ATTEMPTS : null),
}

const NO_ATTEMPTS = 'export class Attempts { ended() {} }'

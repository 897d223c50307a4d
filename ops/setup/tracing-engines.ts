/**
 * The engines that traces can be in, for tests: a Collector, Jaeger, and a program that sends spans. Those of PATH, or built with
 * Go into the cache, which takes minutes and is done once.
 */

import { chmod, cp, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { inWorkFolder, made } from './cache.ts'
import { onPath, output } from './program.ts'
import { type Progress, SetupError } from './progress.ts'

const MANIFEST = fileURLToPath(new URL('../deploy/collector/manifest.yaml', import.meta.url))
/** Of the manifest's release. */
const BUILDER = 'go.opentelemetry.io/collector/cmd/builder@v0.161.0'
const TELEMETRYGEN = 'github.com/open-telemetry/opentelemetry-collector-contrib/cmd/telemetrygen@v0.161.0'
/**
 * Jaeger 2.13.0. The module's path has no /v2, so that Go takes no tag of Jaeger 2; up to here each release had one of Jaeger 1
 * beside it, on the same commit.
 */
const JAEGER = 'github.com/jaegertracing/jaeger@v1.76.0'
/** Change whenever the code below would make another folder. */
const RECIPE_VERSION = 1
/** Two cores take a quarter of an hour for the largest. What is not there by then is missed, and goes on from there next time. */
const BUILD_MINUTES = 20
const SMALL = ['-trimpath', '-ldflags', '-s -w']

const WHY = 'testing traces in engines'

/** Told what takes long; undefined where nothing that does is to be begun. */
type Now = ((busy: string) => void) | undefined

/** Finds or, unless only what is at hand will do, makes it, and says so. Throws SetupError when it cannot be had here. */
export async function findCollector(progress: Progress, atHand = false): Promise<string> {
  return progress.step('Collector', async (now) => shown(await collectorProgram(atHand ? undefined : now)))
}
/** The same for Jaeger. */
export async function findJaeger(progress: Progress, atHand = false): Promise<string> {
  return progress.step('Jaeger', async (now) => shown(await jaegerProgram(atHand ? undefined : now)))
}
/** The same for telemetrygen. */
export async function findTelemetrygen(progress: Progress, atHand = false): Promise<string> {
  return progress.step('telemetrygen', async (now) => shown(await telemetrygenProgram(atHand ? undefined : now)))
}

/** A Collector with all that `ops/deploy/collector` needs. */
export async function collectorProgram(now?: Now): Promise<string> {
  const found = await onPath('otelcol-contrib')
  if (found) return found
  const manifest = await readFile(MANIFEST, 'utf8')
  const fix = 'install Go 1.25 or later, or put otelcol-contrib on PATH (https://opentelemetry.io/docs/collector)'
  return built('otelcol', { builder: BUILDER, manifest }, fix, now, async (go, folder) => {
    await inWorkFolder(async (work) => {
      await go(['install', BUILDER], { GOBIN: work })
      await cp(MANIFEST, join(work, 'manifest.yaml'))
      await output(join(work, 'builder'), ['--config', 'manifest.yaml', '--skip-compilation'], { cwd: work })
      await go(['build', ...SMALL, '-o', join(folder, 'otelcol'), '.'], {}, join(work, 'build'))
    })
  })
}

export async function jaegerProgram(now?: Now): Promise<string> {
  const fix = 'install Go 1.25 or later'
  return built('jaeger', { jaeger: JAEGER }, fix, now, async (go, folder) => {
    const { Dir } = JSON.parse(await go(['mod', 'download', '-json', JAEGER])) as { Dir: string }
    // In a copy: Go keeps modules read-only, and only within one do its own replacements hold.
    await inWorkFolder(async (work) => {
      const source = join(work, 'jaeger')
      await cp(Dir, source, { recursive: true })
      await writable(source)
      await go(['build', ...SMALL, '-o', join(folder, 'jaeger'), './cmd/jaeger'], {}, source)
    })
  })
}

export async function telemetrygenProgram(now?: Now): Promise<string> {
  const found = await onPath('telemetrygen')
  if (found) return found
  const fix = `install Go 1.25 or later, or: go install ${TELEMETRYGEN}`
  return built('telemetrygen', { telemetrygen: TELEMETRYGEN }, fix, now, async (go, folder) => {
    await go(['install', ...SMALL, TELEMETRYGEN], { GOBIN: folder })
  })
}

type Go = (args: string[], env?: Record<string, string>, cwd?: string) => Promise<string>

async function built(
  name: string,
  recipe: object,
  fix: string,
  now: Now,
  build: (go: Go, folder: string) => Promise<void>,
): Promise<string> {
  const until = Date.now() + BUILD_MINUTES * 60_000
  const folder = await made(name, { version: RECIPE_VERSION, arch: process.arch, ...recipe }, async (folder) => {
    if (!now) throw new SetupError(`${name} is not at hand.`, { why: WHY, fix: 'npm run test:distributed builds it' })
    const path = await onPath('go')
    if (!path) throw new SetupError(`${name} was not found.`, { why: WHY, fix })
    now(`building ${name} with Go (some minutes, once)`)
    const go: Go = (args, env = {}, cwd = folder) =>
      output(path, args, { cwd, env: { ...process.env, ...env }, timeout: Math.max(1, until - Date.now()) })
    await build(go, folder)
  }).catch((cause) => {
    if (cause instanceof SetupError) throw cause
    if (Date.now() < until) throw new SetupError(`${name} could not be built.`, { why: WHY, fix, cause })
    const late = `${name} could not be built within ${BUILD_MINUTES} minutes. Go keeps what it has compiled.`
    throw new SetupError(late, { why: WHY, fix: 'npm run test:distributed, once more' })
  })
  return join(folder, name)
}

async function writable(folder: string): Promise<void> {
  await chmod(folder, 0o755)
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    if (entry.isDirectory()) await writable(join(folder, entry.name))
  }
}

function shown(path: string): { value: string; shown: string } {
  return { value: path, shown: path }
}

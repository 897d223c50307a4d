/** A stack with every wire in hand: what goes between any two of its parts can be cut, and its disks can be filled. */

import { execFileSync } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startOpenAiEndpoint } from '../fixtures/llm/openai-endpoint.ts'
import { startBackend, TAKEN } from '../fixtures/relay/backend.ts'
import { wireTo } from '../fixtures/relay/wire.ts'
import { type Browser, launchBrowser } from '../ops/browser.ts'
import { closeOnSignal } from '../ops/closing.ts'
import { saveSettings } from '../ops/demonstration.ts'
import { freePort } from '../ops/free-port.ts'
import { toolchainPath } from '../ops/setup/toolchain.ts'
import { type Stack, startTemporaryStack } from '../ops/stack.ts'
import { LOOP_WATCH } from './watched-loop.ts'

/** Short, so that whoever waits for what does not come gives up within a fault. */
const PATIENCE = {
  LLM_IDLE_TIMEOUT_MS: '6000',
  LLM_TIMEOUT_MS: '20000',
  COMPILE_TIMEOUT_MS: '4000',
  OTEL_EXPORTER_OTLP_TIMEOUT: '2000',
}
const TOKENS = { LLM_DAILY_TOKENS_INSTALL: '1000000000', LLM_DAILY_TOKENS_OVERALL: '1000000000' }
const DISK = 'size=48m'

type Wire = Awaited<ReturnType<typeof wireTo>>

export interface Ground {
  stack: Stack
  model: Awaited<ReturnType<typeof startOpenAiEndpoint>>
  backend: Awaited<ReturnType<typeof startBackend>>
  wires: Record<
    'browser to relay' | 'relay to server' | 'server to relay' | 'server to model' | 'relay to backend',
    Wire
  >
  folders: { store: string; dist: string }
  /** Whether those are disks of their own, which can be full. */
  disks: boolean
  profile: object
  chromium: string
  /** Another one after it was killed. */
  browser: Browser
  stop(): Promise<void>
}

export async function startGround(chromium: string): Promise<Ground> {
  const temporary = await mkdtemp(join(tmpdir(), 'pass-ats-chaos-'))
  const dataDir = join(temporary, 'data')
  const folders = { store: join(dataDir, 'relay'), dist: join(dataDir, 'dist') }
  const unmount = await mountDisks(Object.values(folders))
  const remove = async () => {
    unmount?.()
    await rm(temporary, { recursive: true, force: true })
  }
  const forget = closeOnSignal(remove)
  const model = await startOpenAiEndpoint('ok')
  const backend = await startBackend(() => TAKEN)
  const [relayPort, serverPort] = [await freePort(), await freePort()]
  const wires: Omit<Ground['wires'], 'browser to relay'> = {
    'relay to server': await wireTo(`http://127.0.0.1:${serverPort}`),
    'server to relay': await wireTo(`http://127.0.0.1:${relayPort}`),
    'server to model': await wireTo(new URL(model.baseUrl).origin),
    'relay to backend': await wireTo(backend.url),
  }
  const stack = await startTemporaryStack({
    ...{ toolchainPath: toolchainPath(), dataDir, distDir: folders.dist, relayPort, serverPort },
    via: { server: wires['relay to server'].url, relay: wires['server to relay'].url },
    env: {
      ...{ ...PATIENCE, ...TOKENS, TMPDIR: temporary, NODE_OPTIONS: `--import=${LOOP_WATCH}` },
      ...{ RELAY_METRICS_PORT: '0', SERVER_METRICS_PORT: '0' },
      ...{ LLM_BASE_URL: `${wires['server to model'].url}/v1`, LLM_MODEL: 'm-1' },
      OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: `${wires['relay to backend'].url}/v1/traces`,
    },
  })
  const entrance = await wireTo(stack.relayUrl)
  const profile = JSON.parse(await readFile(new URL('../fixtures/profiles/short.json', import.meta.url), 'utf8'))
  const ground: Ground = {
    ...{ stack, model, backend, folders, profile, chromium },
    wires: { 'browser to relay': entrance, ...wires },
    disks: unmount !== undefined,
    browser: await launchBrowser(chromium),
    stop: async () => {
      await ground.browser.close()
      await stack.stop()
      await Promise.all([...Object.values(ground.wires), model, backend].map((each) => each.close()))
      await remove()
      forget()
    },
  }
  await saveSettings(ground.browser, entrance.url, profile)
  return ground
}

/** Gives each folder a small disk of its own, in memory; undefined where this user may not. */
async function mountDisks(folders: string[]): Promise<(() => void) | undefined> {
  const mounted: string[] = []
  const unmount = () => {
    for (const folder of mounted.splice(0)) execFileSync('umount', ['--lazy', folder])
  }
  try {
    for (const folder of folders) {
      await mkdir(folder, { recursive: true })
      execFileSync('mount', ['-t', 'tmpfs', '-o', DISK, 'tmpfs', folder], { stdio: 'ignore' })
      mounted.push(folder)
    }
    return unmount
  } catch {
    unmount()
    return undefined
  }
}

/** `npm start`: sets up what is missing, starts relay and server, shows one run, and stays up until Ctrl-C. */

import { once } from 'node:events'
import { rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { EXTENSION_DIR } from './browser.ts'
import { closeOnSignal, exitOnSignals, isClosing } from './closing.ts'
import { demonstrate } from './demonstration.ts'
import { buildExtension } from './extension-build.ts'
import { findChromium } from './setup/chromium.ts'
import { Progress, SetupError } from './setup/progress.ts'
import { setUpToolchain, toolchainPath } from './setup/toolchain.ts'
import { type Stack, startStack } from './stack.ts'
import { DATA_DIR, signInLink } from './support.ts'
import { LOCAL_KEY } from './synthetics/config.ts'
import { drawWaterfall, duration } from './terminal-waterfall.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))

const { values: flags } = parseArgs({ options: { 'no-demo': { type: 'boolean', default: false } } })
const relayPort = Number(process.env.RELAY_PORT || 4318)
const serverPort = Number(process.env.SERVER_PORT || 4320)

exitOnSignals({
  onSignal: (signal) => {
    console.log(`\n  Stopping (${signal}) …`)
    process.on('exit', () => console.log('  Stopped.'))
  },
})

let stack: Stack | undefined
try {
  await start()
} catch (error) {
  if (!isClosing()) {
    await stack?.stop()
    console.error(`\n  ${error instanceof SetupError ? error : error instanceof Error ? error.message : error}\n`)
    process.exit(1)
  }
}

async function start() {
  const progress = new Progress()
  console.log('\nPASS ATS\n')
  await assertFree(relayPort, 'RELAY_PORT')
  await assertFree(serverPort, 'SERVER_PORT')
  if (relayPort !== 0) {
    await assertFree(Number(process.env.RELAY_METRICS_PORT || 9464), 'RELAY_METRICS_PORT')
    await assertFree(Number(process.env.SERVER_METRICS_PORT || 9465), 'SERVER_METRICS_PORT')
  }
  await setUpToolchain(progress)
  await buildExtension(progress)
  const chromium = flags['no-demo'] ? undefined : await findChromium(progress)

  const started = await progress.step('Relay and server', async () => {
    const value = await startStack({
      dataDir: DATA_DIR,
      distDir: `${ROOT}dist`,
      toolchainPath: toolchainPath(),
      relayPort,
      serverPort,
    })
    return { value, shown: `${value.relayUrl}  ${value.serverUrl}` }
  })
  stack = started
  await leaveKey(started.syntheticKey)
  for (const child of [started.relay, started.server]) {
    child.once('exit', (code) => {
      if (isClosing()) return
      console.error(
        `\n  A process ended unexpectedly (exit code ${code}). Its log: ${started.logs.relay} or ${started.logs.server}`,
      )
      process.kill(process.pid, 'SIGTERM')
    })
  }

  if (chromium) await show(started, chromium)
  console.log(`  Support looks runs up at   ${await signInLink(started.relayUrl)}`)
  console.log('                             (signs you in once; after that, /support)')
  console.log(`  Prometheus reads           ${started.metricsUrls.relay}  ${started.metricsUrls.server}`)
  console.log(`
  In your own browser: open chrome://extensions, switch on Developer mode, choose "Load unpacked" and select
    ${EXTENSION_DIR}
  then open its options, add your profile, visit a job posting and press Generate.

  Ready. Ctrl-C stops everything.`)
}

async function show(running: Stack, chromium: string) {
  console.log('\n  One run, as a person makes it, in headless Chromium …\n')
  const { demonstration, waterfall } = await demonstrate({
    relayUrl: running.relayUrl,
    chromium,
    distDir: `${ROOT}dist`,
  })
  console.log(drawWaterfall(waterfall, process.stdout))
  const { spans, services, durationMs, pages } = demonstration
  console.log(
    `\n  Click to PDF in ${duration(durationMs)}: ${spans} spans of ${services.length} services, ${pages} pages.\n`,
  )
  console.log(`  PDF                        ${demonstration.pdfPath}`)
  const page = `/support/${demonstration.traceId}`
  console.log(`  Its trace                  ${await signInLink(running.relayUrl, page)}`)
}

/** For the synthetic checks of this user, as long as this stack is up. */
async function leaveKey(key: string) {
  await rm(LOCAL_KEY, { force: true })
  await writeFile(LOCAL_KEY, `${key}\n`, { mode: 0o600 })
  closeOnSignal(() => rm(LOCAL_KEY, { force: true }))
}

/** Throws an Error that says what to do when the port is taken. */
async function assertFree(port: number, variable: string) {
  if (port === 0) return
  const probe = createServer()
  const taken = await new Promise<boolean>((resolve) => {
    probe.once('error', () => resolve(true))
    probe.listen(port, '127.0.0.1', () => resolve(false))
  })
  if (taken) {
    throw new Error(`Port ${port} is taken, perhaps by PASS ATS in another terminal.\n\n    ${variable}=0 npm start\n`)
  }
  probe.close()
  await once(probe, 'close')
}

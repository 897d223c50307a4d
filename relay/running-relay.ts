/**
 * The real relay as its own process, as it is started in production; for tests, which hear what it says. Benches have
 * `fixtures/relay/relay-process.ts`, which needs no test around it.
 */

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { text as readText } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'
import { STAFF_ENV } from './sample-run.ts'

/** Starts it on a free port; `url` is empty when it has exited instead. It is killed at the end. */
export async function startRelay(
  env: Record<string, string>,
  atEnd: (kill: () => void) => void = (kill) => onTestFinished(kill),
) {
  const child = spawn(process.execPath, ['--import', './relay/telemetry.ts', 'relay/main.ts'], {
    cwd: fileURLToPath(new URL('..', import.meta.url)),
    env: { RELAY_PORT: '0', RELAY_METRICS_PORT: '0', ...STAFF_ENV, ...env },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  })
  atEnd(() => void child.kill('SIGKILL'))
  const output = Promise.all([readText(child.stdout as never), readText(child.stderr as never)])
  const exited = once(child, 'exit')
  const message = await Promise.race([once(child, 'message'), exited.then(() => undefined)])
  const { url = '', metricsUrl = '' } = (message?.[0] ?? {}) as { url?: string; metricsUrl?: string }
  return { child, output, exited, url, metricsUrl }
}

/** Asks it to end, and answers with its exit code. */
export async function stop(child: ChildProcess): Promise<number> {
  child.kill('SIGTERM')
  const [code] = await once(child, 'exit')
  return code
}

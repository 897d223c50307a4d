/** What Tectonic can do to runs without failing, and what checks tell of it: a stack with a Tectonic that does as it is told. */

import { randomBytes } from 'node:crypto'
import { startTemporaryStack } from '../../stack.ts'
import { callerOf, over } from './caller.ts'
import { type Cause, target } from './cause.ts'
import type { Places } from './checks.ts'
import { obedientTectonic } from './tectonic.ts'

/** So many compilations at once; more than there are people in a minute, whose number makes those of an hour. */
const AT_ONCE = 24
const PEOPLE = 16
/** Those for whom there is a place, and those who wait. */
const CROWD = AT_ONCE + 18
/** For one that is slow, and not cut off for it. */
const COMPILE_TIMEOUT_MS = 60_000
/** A check that was slow is made once more before it is told of. */
const TWICE_MS = 150_000
const EVERY_SECONDS = 10

/** `places`: where it is checked from. Everything that is to be closed goes into `closing`, to be closed backwards. */
export async function tectonicCauses(closing: (() => unknown)[], places: Places) {
  const tectonic = await obedientTectonic(closing)
  const stack = await startTemporaryStack({
    toolchainPath: tectonic.toolchainPath,
    env: { COMPILE_CONCURRENCY: String(AT_ONCE), COMPILE_TIMEOUT_MS: String(COMPILE_TIMEOUT_MS) },
  })
  closing.push(() => stack.stop())
  const person = await callerOf(stack)
  // With it the template is prepared, which slow as Tectonic is to be would take minutes.
  await person.run()
  const checkUntil = (signal: AbortSignal, syntheticKey = stack.syntheticKey) =>
    places.check({ relayUrl: stack.relayUrl, syntheticKey }, EVERY_SECONDS, signal)
  const works = () => tectonic.does('work')

  const causes: Cause[] = [
    {
      what: 'more runs at once than are compiled at once',
      alerts: [['CompilationsWait']],
      async provoke(signal) {
        await tectonic.does('slow')
        await over(signal, CROWD, () => person.run(signal))
      },
      repair: works,
    },
    {
      what: 'a Tectonic that takes 33 s',
      patienceMs: TWICE_MS,
      alerts: [['CompilationsAreSlow'], ['RunsAreSlow'], ['SyntheticCheckIsSlow', { check: 'generate' }]],
      async provoke(signal) {
        await tectonic.does('slow')
        await Promise.all([over(signal, PEOPLE, () => person.run(signal)), checkUntil(signal)])
      },
      repair: works,
    },
    {
      what: 'a Tectonic that takes nearly all the memory it may',
      alerts: [['CompilationsNearMemoryLimit']],
      async provoke(signal) {
        await tectonic.does('greedy')
        await over(signal, 2, () => person.run())
      },
      repair: works,
    },
    {
      what: 'a Tectonic whose PDFs have 1.4 MB',
      alerts: [['PdfsAreLarge']],
      async provoke(signal) {
        await tectonic.does('large')
        await over(signal, 3, () => person.run())
      },
      repair: works,
    },
    {
      what: 'checks of a Tectonic that crashes',
      alerts: [['SyntheticCheckFails', { check: 'generate' }]],
      async provoke(signal) {
        await tectonic.does('crash')
        await checkUntil(signal)
      },
      repair: works,
    },
    {
      what: 'checks with a key that the relay does not know',
      alerts: [['SyntheticCheckIsBlind', { check: 'compile' }]],
      provoke: (signal) => checkUntil(signal, randomBytes(32).toString('hex')),
    },
  ]
  const targets = [
    target('pass-ats-relay-4', stack.metricsUrls.relay),
    target('pass-ats-server-4', stack.metricsUrls.server),
  ]
  return {
    targets,
    causes,
    /** Large PDFs until the signal comes. */
    async makeLarge(signal: AbortSignal) {
      await tectonic.does('large')
      await over(signal, 3, () => person.run())
    },
    works,
  }
}

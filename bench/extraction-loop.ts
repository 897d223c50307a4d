/**
 * Runs in a page's isolated world, each function handed there as its own text: so they use nothing of this file, nor
 * of each other but what they are given.
 */

/** Milliseconds an extraction: as it ships, without times, and as it ships once more. */
export type Timed = [shipped: number, bare: number, again: number]

/**
 * A built content script, waiting. Each call of the answer is one message from background, answered as the browser
 * sends answers: as JSON.
 */
export function contentScript(code: string): () => string {
  type Listener = (message: object, sender: object, respond: (answer: object) => void) => void
  const listeners: Listener[] = []
  const chrome = { runtime: { id: 'bench', onMessage: { addListener: (given: Listener) => listeners.push(given) } } }
  // Its own `globalThis`, since the second script in one world takes itself for a double.
  new Function('chrome', 'globalThis', code)(chrome, {})
  const [listener] = listeners
  if (!listener) throw new Error('The content script does not listen.')
  return () => {
    let sent = ''
    listener({ type: 'content/extract_posting', payload: { lastResort: false } }, { id: 'bench' }, (answer) => {
      sent = JSON.stringify(answer)
    })
    return sent
  }
}

/** A round for each order, in which each script makes as many extractions. */
export function timeRounds(scripts: (() => string)[], times: number, orders: number[][]): Timed[] {
  return orders.map((order) => {
    const timed: Timed = [0, 0, 0]
    for (const index of order) {
      const ask = scripts[index] as () => string
      const begun = performance.now()
      for (let time = 0; time < times; time++) ask()
      timed[index] = (performance.now() - begun) / times
    }
    return timed
  })
}

/** The script's loading and its first extraction. */
export function timeFirst(load: (code: string) => () => string, code: string): number {
  const begun = performance.now()
  load(code)()
  return performance.now() - begun
}

/**
 * Runs in a page's isolated world, each function handed there as its own text: so they use nothing of this file, nor
 * of each other but what they are given.
 */

/** Milliseconds an extraction: as it ships, without spans, and as it ships once more. */
export type Timed = [shipped: number, bare: number, again: number]

/**
 * A built content script, waiting. Each call of the answer is one message from background, answered as the browser
 * sends answers: as JSON. Without `traced` its clock is no clock, because only spans ask for the time.
 */
export function contentScript(code: string, traced: boolean): () => string {
  type Listener = (message: object, sender: object, respond: (answer: object) => void) => void
  const listeners: Listener[] = []
  const chrome = { runtime: { id: 'bench', onMessage: { addListener: (given: Listener) => listeners.push(given) } } }
  const clock = traced ? performance : { now: () => 0 }
  // Its own `globalThis`, since the second script in one world takes itself for a double.
  new Function('chrome', 'globalThis', 'performance', code)(chrome, {}, clock)
  const [listener] = listeners
  if (!listener) throw new Error('The content script does not listen.')
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03'
  return () => {
    let sent = ''
    listener({ type: 'content/extract_posting', payload: {}, traceparent }, { id: 'bench' }, (answer) => {
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
export function timeFirst(
  load: (code: string, traced: boolean) => () => string,
  code: string,
  traced: boolean,
): number {
  const begun = performance.now()
  load(code, traced)()
  return performance.now() - begun
}

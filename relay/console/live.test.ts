import { expect, onTestFinished, test } from 'vitest'
import { sampleRequest, sampleSpan, TRACE_ID, temporaryStore } from '../sample-run.ts'
import { consoleOf, NOW, take } from './sample-console.ts'

const span = (n: number) => sampleRequest([sampleSpan(n.toString(16).padStart(16, '0'))])

/** The stream of a run, and the events that came on it. */
async function watched(parts: Parameters<typeof consoleOf>[1] = {}) {
  const store = temporaryStore(undefined, () => NOW)
  await take(store, span(1))
  const console = consoleOf(store, parts)
  const { cookie } = await console.signIn()
  const answer = await console.get(`/support/${TRACE_ID}/events`, cookie)
  const reader = (answer.body as ReadableStream<Uint8Array>).getReader()
  onTestFinished(() => reader.cancel())
  /** What comes next; undefined at the end. */
  const next = async () => {
    const { value } = await reader.read()
    return value && new TextDecoder().decode(value)
  }
  return { ...console, store, answer, cookie, next }
}

test('While a run goes on, its page is told when more of it has come', async () => {
  const { store, answer, next } = await watched()
  expect(answer.headers.get('content-type')).toContain('text/event-stream')
  await take(store, span(2))
  expect(await next()).toBe('event: changed\ndata: 2\n\n')
  await take(store, span(3), span(4))
  expect(await next()).toBe('event: changed\ndata: 4\n\n')
})

test('The stream ends when its session does, and when the relay stops', async () => {
  const signedOut = await watched()
  const { document } = await signedOut.page('/support', signedOut.cookie)
  const csrf = document.querySelector<HTMLInputElement>('[name=csrf]')?.value ?? ''
  await signedOut.post('/support/sign-out', { csrf }, signedOut.cookie)
  await take(signedOut.store, span(2))
  expect(await signedOut.next()).toBe('event: over\ndata: \n\n')
  const stopping = new AbortController()
  const stopped = await watched({ shutdown: stopping.signal })
  stopping.abort()
  expect(await stopped.next()).toBe('event: over\ndata: \n\n')
  expect(await stopped.next()).toBeUndefined()
})

test('A hundred pages follow runs at once, the next is told to load again, and who leaves makes room', async () => {
  const { get, cookie } = await watched()
  const path = `/support/${TRACE_ID}/events`
  const others = await Promise.all(Array.from({ length: 99 }, () => get(path, cookie)))
  const refused = await get(path, cookie)
  expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '10'])
  for (const { body } of others) await body?.cancel()
  await expect
    .poll(async () => {
      const again = await get(path, cookie)
      await again.body?.cancel()
      return again.status
    })
    .toBe(200)
})

/** Everything that people, services and staff ask of a stack, at once and again and again, and what became of it. */

import { readFile } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import type { Browser } from '../ops/browser.ts'
import { report } from '../ops/demonstration.ts'
import { bundledPostings } from '../ops/postings.ts'
import { newRunClient } from '../ops/run-client.ts'
import type { Stack } from '../ops/stack.ts'
import { asSupport } from '../ops/support.ts'
import { survivedRun } from '../ops/survivor.ts'
import { CONTENT_TYPES, decode, spansOf } from '../relay/otlp.ts'
import { otlpPayload } from './otlp-payload.ts'
import { insist } from './person.ts'
import { pressGenerate } from './press-generate.ts'

/** From one request of each kind to its next, milliseconds: a third of two cores, for hours. */
const EVERY_MS = { run: 4_000, compile: 10_000, spans: 400, visit: 8_000 }
const SPANS_A_REQUEST = 64
/** Longest that somebody insists on one run: beyond any doubt, on a machine with other work to do, too. */
const PATIENCE_MS = 180_000
/** One visit in so many is reported, and in one in so many the worker is stopped on the way. */
const REPORTED = 5
const STOPPED = 7

const SOUND = '\\documentclass{article}\\begin{document}Sound.\\end{document}'
const BROKEN = '\\documentclass{article}\\begin{document}\\nosuchcommand\\end{document}'

export interface MixedLoad {
  /** How often each thing has ended in each way. */
  counts: Record<string, number>
  /** What the extension had in its storage after the last visit; NaN before the first. */
  extensionBytes(): number
  /** Lets what is under way end, and begins nothing more. Rejects with the first error that no fault explains. */
  stop(): Promise<void>
}

/** People and their browser come by `entrance`, which may be cut; services and staff come to the relay itself. */
export async function startMixedLoad(stack: Stack, entrance: string, browser: Browser): Promise<MixedLoad> {
  const counts: Record<string, number> = {}
  const count = (what: string) => {
    counts[what] = (counts[what] ?? 0) + 1
  }
  const profiles = await Promise.all(['short', 'long'].map(bundledProfile))
  const postings = Object.entries(bundledPostings()).filter(([, { notAPosting }]) => !notAPosting)
  const stopping = new AbortController()
  let extensionBytes = Number.NaN

  async function again(everyMs: number, work: (round: number) => Promise<void>): Promise<void> {
    for (let round = 0; !stopping.signal.aborted; round++) {
      await work(round)
      await delay(everyMs, undefined, { signal: stopping.signal }).catch(() => undefined)
    }
  }

  async function runs(): Promise<void> {
    const client = await newRunClient(entrance)
    await again(EVERY_MS.run, async (round) => {
      const {
        title = '',
        company = '',
        location = '',
        description = 'Kafka',
      } = postings[round % postings.length]?.[1] ?? {}
      const posting = { source: 'json-ld', title, company, location, description }
      const { fate } = await insist(client, { profile: profiles[round % profiles.length], posting }, PATIENCE_MS)
      count(`run: ${fate}`)
    })
  }

  async function compile(round: number): Promise<void> {
    const { token } = await (await fetch(`${stack.relayUrl}/installs`, { method: 'POST' })).json()
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/x-tex' }
    const body = round % 3 === 0 ? BROKEN : SOUND
    const response = await fetch(`${stack.relayUrl}/compile`, { method: 'POST', headers, body })
    await response.arrayBuffer()
    count(`compile: ${response.status}`)
  }

  /** What the relay has answered for must be found at once. */
  async function spans(round: number): Promise<void> {
    const body = otlpPayload(SPANS_A_REQUEST, 'protobuf', round + 1)
    const headers = { authorization: `Bearer ${stack.serviceKey}`, 'content-type': CONTENT_TYPES.protobuf }
    const { status } = await fetch(`${stack.relayUrl}/v1/traces`, {
      method: 'POST',
      headers,
      body: new Uint8Array(body),
    })
    count(`spans: ${status}`)
    if (status !== 200) return
    const [span] = spansOf(decode(body, 'protobuf'))
    const lookUp = await fetch(`${stack.relayUrl}/api/traces/${span?.traceId}`, { headers: asSupport(stack.relayUrl) })
    await lookUp.arrayBuffer()
    count(`look-up: ${lookUp.status === 404 ? 'missing' : lookUp.status}`)
  }

  /** From the toolbar to the PDF, in the real browser. */
  async function visit(round: number): Promise<void> {
    const { id, leave } = await pressGenerate(browser, postings[round % postings.length]?.[0] ?? '')
    try {
      if (round % STOPPED === 0) await browser.stopWorker()
      const run = await survivedRun(browser, id)
      count(`visit: ${run.failure?.code ?? run.status}`)
      if (round % REPORTED === 0) await report(browser, id)
    } finally {
      await leave()
    }
    const page = await browser.openExtensionPage('resume/resume.html')
    extensionBytes = await page.evaluate(() => chrome.storage.local.getBytesInUse(null))
    await page.close()
  }

  // A relay that is being killed answers nobody; whoever insists is above.
  const unheard = (what: string, work: (round: number) => Promise<void>) => async (round: number) => {
    try {
      await work(round)
    } catch (error) {
      count(`${what}: ${error instanceof TypeError ? 'no answer' : String(error).split('\n')[0]}`)
    }
  }
  const loops = [
    runs(),
    runs(),
    again(EVERY_MS.compile, unheard('compile', compile)),
    again(EVERY_MS.spans, unheard('spans', spans)),
    again(EVERY_MS.visit, unheard('visit', visit)),
  ]
  const ended = Promise.all(loops)
  ended.catch(() => undefined)
  return {
    counts,
    extensionBytes: () => extensionBytes,
    stop: async () => {
      stopping.abort()
      await ended
    },
  }
}

async function bundledProfile(name: string): Promise<object> {
  return JSON.parse(await readFile(new URL(`../fixtures/profiles/${name}.json`, import.meta.url), 'utf8'))
}

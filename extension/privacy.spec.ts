import { randomBytes } from 'node:crypto'
import { cpSync, readdirSync, readFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { gunzipSync } from 'node:zlib'
import { expect } from '@playwright/test'
import { startOpenAiEndpoint } from '../fixtures/llm/openai-endpoint.ts'
import { startRecorder } from '../fixtures/recorder.ts'
import { tapRelay } from '../fixtures/relay/tap.ts'
import { endOfRun, newestRun } from '../ops/demonstration.ts'
import { asSupport } from '../ops/support.ts'
import { anotherStack, test } from './journey.ts'

/** A string that nothing else would ever contain, one for each place a person's words can be in. */
const planted: string[] = []
function canary(place: string): string {
  const word = `Zq${place}Kanarie${planted.length}`
  planted.push(word)
  return word
}

const profile = {
  basics: {
    name: `Ada ${canary('Name')}`,
    label: canary('Label'),
    email: `${canary('Email').toLowerCase()}@quill.example`,
    phone: '+1 555 0142 7719',
    url: `https://quill.example/${canary('Url')}?token=${canary('Token')}`,
    summary: canary('Summary'),
    location: { city: canary('City') },
  },
  work: [
    {
      name: canary('Employer'),
      position: canary('Position'),
      startDate: '2019-03',
      highlights: [canary('BulletOne'), `Built ${canary('BulletTwo')} for 12 teams`],
    },
  ],
  education: [{ institution: canary('School'), area: canary('Area') }],
  skills: [{ name: canary('Skill'), keywords: [canary('Keyword')] }],
}
planted.push('555 0142 7719')

const posting = {
  url: `https://jobs.quill.example/${canary('Path')}/42?candidate=${canary('Query')}#${canary('Fragment')}`,
  html: `<!doctype html><html lang="en"><head><title>${canary('PageTitle')}</title>
    <script type="application/ld+json">${JSON.stringify({
      '@type': 'JobPosting',
      title: canary('JobTitle'),
      hiringOrganization: canary('Company'),
      jobLocation: { address: { addressLocality: canary('Place') } },
      description: `<p>${canary('Description')} ${'We look for somebody who likes exact work. '.repeat(10)}</p>`,
    })}</script></head><body><h1>${canary('Heading')}</h1></body></html>`,
}

/** Everything in the SQLite files of a folder, as text; what is gzipped in them is unpacked. */
function textOf(used: string): string {
  // A copy, with the logs: who writes has the files for themselves.
  const folder = test.info().outputPath(basename(used))
  cpSync(used, folder, { recursive: true })
  const files = readdirSync(folder).filter((name) => name.endsWith('.sqlite'))
  return files
    .flatMap((name) => {
      const db = new DatabaseSync(join(folder, name))
      const tables = db.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").all()
      const rows = tables.flatMap(({ name }) => db.prepare(`SELECT * FROM "${name}"`).all())
      db.close()
      return rows.flatMap((row) => Object.values(row).map(readable))
    })
    .join('\n')
}

function readable(value: unknown): string {
  if (!(value instanceof Uint8Array)) return String(value)
  return (value[0] === 0x1f && value[1] === 0x8b ? gunzipSync(value) : Buffer.from(value)).toString('utf8')
}

test('nothing that a person wrote or read leaves in telemetry, logs or headers, whichever way a run ends', async ({
  journey,
}) => {
  test.setTimeout(300_000)
  const endpoint = await startOpenAiEndpoint()
  const [backend, hooks] = [await startRecorder(), await startRecorder()]
  const apiKey = canary('ApiKey')
  const stack = await anotherStack({
    LLM_BASE_URL: endpoint.baseUrl,
    LLM_API_KEY: apiKey,
    LLM_TIMEOUT_MS: '1500',
    LOG_LEVEL: 'trace',
    OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: `${backend.url}/v1/traces`,
    WEBHOOK_URLS: `${hooks.url}/`,
    WEBHOOK_SECRETS: `whsec_${randomBytes(32).toString('base64')}`,
    WEBHOOK_ALLOW_LOOPBACK: '1',
  })
  const tap = await tapRelay({ to: stack.relayUrl }, stack.relayUrl)
  const { browser } = journey
  await browser.context.route(
    (url) => url.hostname === 'jobs.quill.example',
    (route) => route.fulfill({ contentType: 'text/html; charset=utf-8', body: posting.html }),
  )
  const runs: string[] = []
  const generate = async (as: object, then?: (popup: Awaited<ReturnType<typeof browser.openPopup>>) => unknown) => {
    await journey.settings(as, tap.url)
    const page = await browser.context.newPage()
    await page.goto(posting.url)
    const popup = await browser.openPopup(page)
    const before = await newestRun(browser)
    await popup.click('generate')
    await then?.(popup)
    const run = await endOfRun(browser, before?.id)
    runs.push(run.id)
    await popup.close()
    await page.close()
    await journey.trace(run, stack.relayUrl)
    return run.failure?.code ?? run.status
  }
  try {
    expect(await generate(profile)).toBe('done')
    // A model's own words: an invention, and what it calls its answer.
    const invented = canary('Invention')
    endpoint.script = ({ resume }) =>
      JSON.stringify({ summary: invented, bullets: resume.bullets.map(({ id }) => ({ id, text: invented })) })
    endpoint.behaviour = 'scripted'
    expect(await generate(profile)).toBe('done')
    planted.push('the resume of Ada Quill')
    endpoint.behaviour = 'talkative_ids'
    expect(await generate(profile)).toBe('done')
    endpoint.behaviour = 'nonsense'
    expect(await generate(profile)).toBe('llm_invalid_output')
    endpoint.behaviour = 'error_400_filtered'
    expect(await generate(profile)).toBe('llm_refused')
    endpoint.behaviour = 'silent'
    expect(await generate(profile)).toBe('llm_timeout')
    expect(await generate(profile, (popup) => popup.click('cancel'))).toBe('cancelled')
    endpoint.behaviour = 'ok'
    const unprintable = { ...profile, basics: { ...profile.basics, label: `${canary('Glyph')} 日` } }
    expect(await generate(unprintable)).toBe('unsupported_character')
    const invalid = { ...profile, education: [{ institution: '', area: canary('Invalid') }] }
    expect(await generate(invalid)).toBe('profile_invalid')
    const counted = await (await fetch(stack.metricsUrls.server)).text()
    await stack.killServer()
    expect(await generate(profile)).toBe('server_unreachable')
    await stack.restartServer()

    const [first, failed] = [runs[0] as string, runs.at(-1) as string]
    await hooks.has(first)
    await backend.has(Buffer.from(failed, 'hex').toString('utf8'))
    const left: Record<string, string> = {
      'the relay\u2019s log': readFileSync(stack.logs.relay, 'utf8'),
      'the server\u2019s log': readFileSync(stack.logs.server, 'utf8'),
      'what the browser sent as telemetry': JSON.stringify(tap.bodies),
      'the relay\u2019s store': textOf(join(dirname(stack.logs.relay), 'relay')),
      'what the tracing backend got': backend.received.join('\n'),
      'what the webhook\u2019s receiver got': hooks.received.join('\n'),
      'the relay\u2019s metrics': await (await fetch(stack.metricsUrls.relay)).text(),
      'the server\u2019s metrics': counted,
      'headers to the model': JSON.stringify(
        endpoint.requests.map(({ headers: { authorization: _, ...headers } }) => headers),
      ),
    }
    const headers = asSupport(stack.relayUrl)
    for (const id of runs) {
      left[`trace ${id}`] = await (await fetch(`${stack.relayUrl}/api/traces/${id}`, { headers })).text()
      left[`log of ${id}`] = await (await fetch(`${stack.relayUrl}/api/traces/${id}/log`, { headers })).text()
      left[`console page ${id}`] = await (await fetch(`${stack.relayUrl}/support/${id}`, { headers })).text()
      expect(left[`trace ${id}`], 'the search would find something').toContain('pass-ats-extension')
      expect(left[`console page ${id}`]).toContain(id)
    }
    for (const page of ['/support', '/support/audit']) {
      left[`console page ${page}`] = await (await fetch(`${stack.relayUrl}${page}`, { headers })).text()
    }
    expect(left['the server\u2019s log'], 'the search would find something').toContain('run ended')
    expect(left['what the browser sent as telemetry']).toContain(first)
    expect(left['the relay\u2019s store']).toContain('generate resume')
    expect(left['what the tracing backend got']).toContain('generate resume')
    expect(left['the relay\u2019s metrics']).toContain('pass_e2e_duration_seconds')
    expect(left['the server\u2019s metrics']).toContain('gen_ai_client_operation_duration_seconds')
    expect(left[`log of ${first}`]).toContain('run ended')
    expect(left['the relay\u2019s log'], 'and it is not the relay that has taken it out').not.toContain('taken out')
    for (const [place, text] of Object.entries(left)) {
      const found = planted.filter((word) => text.toLowerCase().includes(word.toLowerCase()))
      expect(found, place).toEqual([])
    }

    // What the server keeps of a run for a day: what the popup shows, the terms it found, and the PDF's name.
    const kept = textOf(join(dirname(stack.logs.server), 'dist'))
    expect(kept).toContain(first)
    const shown = new Set(['Name', 'Company', 'JobTitle', 'Description'])
    const places = planted.filter((word) => kept.toLowerCase().includes(word.toLowerCase()))
    expect(places.filter((word) => !shown.has(/^Zq(\w+)Kanarie/.exec(word)?.[1] ?? word))).toEqual([])

    // The model gets what it needs to choose bullets, and neither who the person is nor how to reach them.
    const prompts = JSON.stringify(endpoint.requests.map(({ body }) => body)).toLowerCase()
    expect(prompts).toContain('bulletonekanarie')
    for (const private_ of [profile.basics.name, profile.basics.email, profile.basics.phone, profile.basics.url]) {
      expect(prompts).not.toContain(private_.toLowerCase())
    }
  } finally {
    await tap.close()
    await stack.stop()
    for (const one of [endpoint, backend, hooks]) await one.close()
  }
})

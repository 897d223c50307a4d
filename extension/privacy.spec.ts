import { readFileSync } from 'node:fs'
import { expect } from '@playwright/test'
import { startOpenAiEndpoint } from '../fixtures/llm/openai-endpoint.ts'
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

test('nothing that a person wrote or read leaves in telemetry, logs or headers, whichever way a run ends', async ({
  journey,
}) => {
  const endpoint = await startOpenAiEndpoint()
  const apiKey = canary('ApiKey')
  const stack = await anotherStack({
    LLM_BASE_URL: endpoint.baseUrl,
    LLM_API_KEY: apiKey,
    LLM_TIMEOUT_MS: '1500',
    LOG_LEVEL: 'trace',
  })
  const tap = await tapRelay({ to: stack.relayUrl }, stack.relayUrl)
  const { browser } = journey
  await browser.context.route(
    (url) => url.hostname === 'jobs.quill.example',
    (route) => route.fulfill({ contentType: 'text/html; charset=utf-8', body: posting.html }),
  )
  const runs: string[] = []
  const generate = async (as: object) => {
    await journey.settings(as, tap.url)
    const page = await browser.context.newPage()
    await page.goto(posting.url)
    const popup = await browser.openPopup(page)
    const before = await newestRun(browser)
    await popup.click('generate')
    const run = await endOfRun(browser, before?.id)
    runs.push(run.id)
    await popup.close()
    await page.close()
    await journey.trace(run, stack.relayUrl)
    return run.failure?.code ?? run.status
  }
  try {
    expect(await generate(profile)).toBe('done')
    endpoint.behaviour = 'nonsense'
    expect(await generate(profile)).toBe('llm_invalid_output')
    endpoint.behaviour = 'silent'
    expect(await generate(profile)).toBe('llm_timeout')
    endpoint.behaviour = 'ok'
    const unprintable = { ...profile, basics: { ...profile.basics, label: `${canary('Glyph')} 日` } }
    expect(await generate(unprintable)).toBe('unsupported_character')
    const invalid = { ...profile, education: [{ institution: '', area: canary('Invalid') }] }
    expect(await generate(invalid)).toBe('profile_invalid')

    const left: Record<string, string> = {
      'the relay\u2019s log': readFileSync(stack.logs.relay, 'utf8'),
      'the server\u2019s log': readFileSync(stack.logs.server, 'utf8'),
      'what the browser sent as telemetry': JSON.stringify(tap.bodies),
      'headers to the model': JSON.stringify(
        endpoint.requests.map(({ headers: { authorization: _, ...headers } }) => headers),
      ),
    }
    const headers = asSupport(stack.relayUrl)
    for (const id of runs) {
      left[`trace ${id}`] = await (await fetch(`${stack.relayUrl}/api/traces/${id}`, { headers })).text()
      left[`console page ${id}`] = await (await fetch(`${stack.relayUrl}/support/${id}`, { headers })).text()
      expect(left[`trace ${id}`], 'the search would find something').toContain('pass-ats-server')
      expect(left[`console page ${id}`]).toContain(id)
    }
    expect(left['the server\u2019s log'], 'the search would find something').toContain('run ended')
    expect(left['what the browser sent as telemetry']).toContain(runs[0])
    expect(left['the relay\u2019s log'], 'and it is not the relay that has taken it out').not.toContain('taken out')
    for (const [place, text] of Object.entries(left)) {
      const found = planted.filter((word) => text.toLowerCase().includes(word.toLowerCase()))
      expect(found, place).toEqual([])
    }

    // The model gets what it needs to choose bullets, and neither who the person is nor how to reach them.
    const prompts = JSON.stringify(endpoint.requests.map(({ body }) => body)).toLowerCase()
    expect(prompts).toContain('bulletonekanarie')
    for (const private_ of [profile.basics.name, profile.basics.email, profile.basics.phone, profile.basics.url]) {
      expect(prompts).not.toContain(private_.toLowerCase())
    }
  } finally {
    await tap.close()
    await stack.stop()
    await endpoint.close()
  }
})

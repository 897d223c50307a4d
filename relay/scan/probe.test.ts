import { expect, test } from 'vitest'
import { isSuspicious, probe } from './probe.ts'

/** What a value becomes on the way through both steps; the second is never asked about what the first lets pass. */
function struck(value: string, isId = false): string {
  const bytes = Buffer.from(value)
  const found = probe(value, isId)?.value
  // The first step may be wrong in one direction only.
  if (found !== undefined) expect(isSuspicious(bytes, 0, bytes.length)).toBe(true)
  return found ?? value
}

const JWT = 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U'

test.each([
  ['email', 'ada@example.org'],
  ['email', 'asked by Ada Lovelace <ada.lovelace+cv@mail.example.co.uk>, twice'],
  ['email', 'j\u00fcrgen@m\u00fcller.example'],
  ['email', '/users/ada%40example.org/runs'],
  ['phone', '+49 170 1234567'],
  ['phone', '+1 (555) 123-4567'],
  ['phone', '+442071838750'],
  ['phone', 'call (555) 123-4567.'],
  ['phone', '555-123-4567'],
  ['phone', '0170 1234567'],
  ['phone', '5552234567'],
  ['phone', '/call/%2B491701234567'],
  ['phone', '\u260e5552234567'],
  ['card', '4111 1111 1111 1111'],
  ['card', '5555555555554444'],
  ['card', '3782-822463-10005'],
  ['card', '4111 1111 1111 1111 12/29'],
  ['token', JWT],
  ['token', 'sk-abcdefghijklmnopqrstuvwxyz'],
  ['token', 'sk-proj-4fJ2kL9mN8pQ7rS6tU5v'],
  ['token', 'Bearer a1b2c3d4'],
  ['token', 'authorization: bearer 0123456789abcdef'],
  ['token', 'Basic QWRhOjEyMw=='],
  ['token', 'ghp_16C7e42F292c6912E7710c838347Ae178B4a'],
  ['token', 'AKIAIOSFODNN7EXAMPLE'],
  ['token', 'q7Zk2VbN8wXc4RtY6uIo1PaSdF3gHjKlMn0-Ee'],
  ['token', 'https://ada:secret@model.example/v1'],
  ['length', 'word '.repeat(1_000)],
])('A value with a %s in it becomes a marker: %s', (reason, value) => {
  expect(struck(value)).toBe(`[redacted:${reason}]`)
})

test.each([
  ['http://127.0.0.1:4320/runs?name=Ada#x', 'http://127.0.0.1:4320/runs'],
  ['https://jobs.example/p/1#apply', 'https://jobs.example/p/1'],
  ['/runs/1?token=x', '/runs/1'],
  ['see http://a.example/b?c=d and https://e.example', 'see http://a.example/b and https://e.example'],
])('Of a URL the query and the fragment go: %s', (value, left) => {
  expect(struck(value)).toBe(left)
})

test.each([
  ['a trace ID in a path', '/runs/4bf92f3577b34da6a3ce929d0e0e4736/events'],
  ['a trace ID that begins with digits', '/runs/1234567890b34da6a3ce929d0e0e4736/resume.pdf'],
  ['a UUID', '3f2a9c1e-8b7d-4c6a-9e5f-1a2b3c4d5e6f'],
  ['a UUID of many digits', '12345678-1234-4123-8123-1234567890ab'],
  ['a version', '149.0.7827.12'],
  ['an address of a machine', '192.168.178.221'],
  ['an address with a port', '192.168.178.221:4318'],
  ['a date', '2026-01-01T00:00:00.000Z'],
  ['milliseconds', '1767225600000'],
  ['nanoseconds', '1767225600000000000'],
  ['a host', 'boards-api.greenhouse.io'],
  ['a package', '@opentelemetry/instrumentation-http'],
  ['a package with a version', '@hono/otel@1.0.0'],
  ['a model', 'meta-llama/Llama-4-Maverick-17B-128E-Instruct-FP8'],
  ['a model with a date', 'claude-3-5-sonnet@20240620'],
  ['Chromium', 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/149.0.0.0 Safari/537.36'],
  ['Firefox', 'Mozilla/5.0 (X11; Linux x86_64; rv:152.0) Gecko/20100101 Firefox/152.0'],
  [
    'a phone\u2019s browser',
    'Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/149.0.0.0 Mobile Safari/537.36',
  ],
  ['brands', 'Not)A;Brand 8'],
  ['a code', 'service_worker_terminated'],
  ['a question', 'why?'],
  ['a marker', '[redacted:email]'],
])('%s stays as it is: %s', (_, value) => {
  expect(struck(value)).toBe(value)
})

test('An ID that a model\u2019s provider made up stays where an ID belongs, and is a secret elsewhere', () => {
  const id = 'chatcmpl-B9MHDbslfkBeAs8l4bebGdFOJ6PeG'
  expect(struck(id, true)).toBe(id)
  expect(struck(id)).toBe('[redacted:token]')
  expect(struck(JWT, true)).toBe('[redacted:token]')
})

import { describe, expect, test } from 'vitest'
import { checkRelayUrl } from './relay-url.ts'

describe('a relay address', () => {
  test.each([
    ['https://relay.example.org', 'https://relay.example.org'],
    ['  https://Relay.Example.org:8443/ ', 'https://relay.example.org:8443'],
    ['https://relay.example.org:443', 'https://relay.example.org'],
    ['http://127.0.0.1:4318', 'http://127.0.0.1:4318'],
    ['http://localhost:4318/', 'http://localhost:4318'],
    ['http://[::1]:4318', 'http://[::1]:4318'],
  ])('%j is %s', (typed, origin) => {
    expect(checkRelayUrl(typed)).toEqual({ origin })
  })

  test.each([
    ['', 'must not be empty'],
    ['relay.example.org', 'must start with https://'],
    ['localhost:4318', 'must start with https://'],
    ['ftp://relay.example.org', 'must start with https://'],
    ['javascript:alert(1)', 'must start with https://'],
    ['https://', 'must be a web address'],
    ['https://relay.example.org:99999', 'must be a web address'],
    ['https://ada:secret@relay.example.org', 'must not hold a user name or password'],
    ['https://@relay.example.org', 'must not hold a user name or password'],
    ['https://relay.example.org/v1/traces', 'must end after the host and port: https://relay.example.org'],
    ['https://relay.example.org?', 'must end after the host and port'],
    ['https://relay.example.org/#', 'must end after the host and port'],
    ['http://relay.example.org', 'must be https'],
    ['http://127.0.0.1.example.org', 'must be https'],
    ['http://localhost.example.org', 'must be https'],
    ['http://10.0.0.1:4318', 'must be https'],
  ])('%j is refused: %s', (typed, problem) => {
    expect(checkRelayUrl(typed).problem).toContain(problem)
  })
})

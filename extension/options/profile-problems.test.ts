import { describe, expect, test } from 'vitest'
import { EXAMPLE_PROFILE } from './example-profile.ts'
import { checkProfile, MAX_PROFILE_BYTES, profileCounts } from './profile-problems.ts'

const linesOf = (text: string) => checkProfile(text).problems?.map(({ where, what }) => `${where}: ${what}`)
const firstSelection = (text: string) => {
  const place = checkProfile(text).problems?.[0]?.place
  return place && text.slice(place.start, place.end)
}

describe('a profile that can be saved', () => {
  test('the example is one', () => {
    expect(checkProfile(JSON.stringify(EXAMPLE_PROFILE))).toEqual({ profile: EXAMPLE_PROFILE })
  })

  test('fields that we do not print are kept', () => {
    const profile = { basics: { name: 'Ada' }, volunteer: [{ organization: 'Library' }] }
    expect(checkProfile(JSON.stringify(profile))).toEqual({ profile })
  })

  test('is summed up by its jobs, bullets and skills', () => {
    expect(profileCounts(EXAMPLE_PROFILE)).toEqual({ name: 'Robin Example', jobs: 2, bullets: 3, skills: 3 })
    expect(profileCounts({ basics: { name: 'Ada' }, skills: [{ name: 'Cooking' }] })).toMatchObject({ skills: 1 })
  })
})

describe('a profile with problems', () => {
  test('each is named by its path, in the order of the text', () => {
    const text = JSON.stringify({
      work: [{ name: 'Acme' }, { name: 'Bolt', startDate: 'March 2021', highlights: 'many' }],
      basics: { name: ' ', email: 'ada' },
    })
    expect(linesOf(text)).toEqual([
      'work[1].startDate: must be a date such as 2021, 2021-03 or 2021-03-15',
      'work[1].highlights: must be a list in square brackets [ ]',
      'basics.name: must not be empty',
      'basics.email: must be an email address such as ada@example.org; leave the field out when there is none',
    ])
  })

  test('a missing field is said to be missing', () => {
    expect(linesOf('{}')).toEqual(['basics: is missing; it must be a group of fields in curly brackets { }'])
    expect(linesOf('{"basics":{"name":"Ada","phone":null}}')).toEqual([
      'basics.phone: must be text in double quotes; leave the field out when there is nothing to say',
    ])
    expect(linesOf('[]')).toEqual([
      'the whole profile: must be a group of fields in curly brackets { }, as in JSON Resume',
    ])
  })

  test('what is too long says how long it is', () => {
    const text = JSON.stringify({
      basics: { name: 'Ada', phone: '1'.repeat(61) },
      skills: Array(41).fill({ name: 'x' }),
    })
    expect(linesOf(text)).toEqual([
      'basics.phone: must have at most 60 characters (it has 61)',
      'skills: must have at most 40 entries (it has 41)',
    ])
  })

  test('one that leaves no room for a posting is refused', () => {
    const text = JSON.stringify({ basics: { name: 'Ada' }, meta: 'x'.repeat(MAX_PROFILE_BYTES) })
    expect(linesOf(text)).toEqual(['the whole profile: must be at most 352 KiB (it has 353 KiB)'])
  })

  test('text that is no JSON names line and column', () => {
    expect(linesOf('{\n  "basics": {"name": "Ada",}\n}')).toEqual([
      'line 2, column 28: the comma before this bracket must go',
    ])
    expect(linesOf('')).toEqual(['line 1, column 1: there is nothing here yet'])
  })
})

describe('the place of a problem', () => {
  test('is the text inside the quotes', () => {
    expect(firstSelection('{"basics": {"name": "Ada", "email": "not one"}}')).toBe('not one')
  })

  test('is the whole value when it is no text', () => {
    expect(firstSelection('{"basics": {"name": "Ada", "email": 12}}')).toBe('12')
  })

  test('is the bracket of the group that a missing field belongs to', () => {
    const text = '{"basics": {"name": "Ada"}, "work": [{"position": "Cook"}]}'
    expect(checkProfile(text).problems?.[0]?.place.start).toBe(text.indexOf('{"position"'))
  })
})

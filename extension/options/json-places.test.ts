import { describe, expect, test } from 'vitest'
import { findPlaces, lineAndColumn, pathText } from './json-places.ts'

const at = (text: string, path: string) => {
  const place = findPlaces(text).places.get(path)
  return place && text.slice(place.start, place.end)
}

describe('places', () => {
  test('every value is found by its path', () => {
    const text = '{ "basics": { "name": "Ada" },\n  "work": [ {}, { "startDate" : "2021" } ], "n": -1.5e3, "ok": true }'
    expect(at(text, 'basics.name')).toBe('"Ada"')
    expect(at(text, 'work[1].startDate')).toBe('"2021"')
    expect(at(text, 'n')).toBe('-1.5e3')
    expect(at(text, 'ok')).toBe('true')
    expect(at(text, '')).toBe(text)
  })

  test('names that are no identifiers are quoted in the path', () => {
    expect(pathText(['meta', 'x.y', 0, 'größe'])).toBe('meta["x.y"][0].größe')
    expect(at('{"x.y": {"\\u0061": 1}}', '["x.y"].a')).toBe('1')
  })

  test('of two fields with one name the last counts, as in JSON.parse', () => {
    expect(at('{"a": 1, "a": 2}', 'a')).toBe('2')
  })
})

describe('mistakes', () => {
  test.each([
    ['', 1, 1, 'nothing here yet'],
    ['{"a": 1,}', 1, 9, 'the comma before this bracket must go'],
    ['[1,\n]', 2, 1, 'the comma before this bracket must go'],
    ['{"a": 1\n "b": 2}', 2, 2, 'a comma or a closing } is missing'],
    ['{"a" 1}', 1, 6, 'a colon is missing after "a"'],
    ["{'a': 1}", 1, 2, 'straight double quotes'],
    ['{"a": ‘x’}', 1, 7, 'straight double quotes'],
    ['{"a": yes}', 1, 7, 'yes must be in double quotes'],
    ['{"a": 2021-03}', 1, 7, '2021-03 must be in double quotes'],
    ['{"a": }', 1, 7, 'a value is missing'],
    ['{a: 1}', 1, 2, 'a field name in double quotes'],
    ['{"a": "b\n"}', 1, 7, 'no closing "'],
    ['{"a": "b\tc"}', 1, 9, 'holds a tab'],
    ['{"a": "C:\\dir"}', 1, 7, 'a backslash'],
    ['{\n "a": [1', 2, 9, 'the [ of line 2 is not closed'],
    ['{"a": 1} x', 1, 10, 'more text after the end'],
  ])('%j is wrong at line %i, column %i', (text, line, column, words) => {
    const { mistake } = findPlaces(text)
    expect(mistake?.message).toContain(words)
    expect(lineAndColumn(text, mistake?.start ?? -1)).toEqual({ line, column })
  })

  test('agrees with JSON.parse on what is JSON', () => {
    const samples = [
      '1',
      '-0',
      '01',
      '1.',
      '.5',
      '+1',
      'nul',
      '"\\u00e9"',
      '"\\x"',
      '[]',
      '[,]',
      '{}',
      '{"a":}',
      '"\u0001"',
    ]
    for (const text of [...samples, ' {"a" : [ ] }\r\n', '\ufeff{}', '"\u2028"', '[1 2]', '{"":0}', 'truefalse', '-']) {
      let isJson = true
      try {
        JSON.parse(text)
      } catch {
        isJson = false
      }
      expect([text, findPlaces(text).mistake === undefined]).toEqual([text, isJson])
    }
  })

  test('half a megabyte of brackets or quotes is refused', () => {
    // Each would take minutes if it were read again from the start at every character, and the test would time out.
    expect(findPlaces('['.repeat(500_000)).mistake?.message).toContain('nested too deeply')
    expect(findPlaces(`"${'a'.repeat(500_000)}`).mistake?.message).toContain('no closing "')
  })
})

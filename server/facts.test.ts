import { expect, it } from 'vitest'
import { statesOnly } from './facts.ts'

const source = 'Cut build time by 40 % for 12 teams with Bazel and C#, without a maintenance window.'

it.each([
  ['the source itself', source],
  [
    'another word of the same meaning',
    'Reduced build time by 40 % for 12 teams using Bazel and C#, without a maintenance window.',
  ],
  ['another order', 'For 12 teams, cut build time by 40 % without a maintenance window, with C# and Bazel.'],
  ['something left out', 'Cut build time for 12 teams without a maintenance window.'],
])('accepts %s', (_, rewording) => {
  expect(statesOnly(rewording, source)).toBe(true)
})

it.each([
  ['another number', 'Cut build time by 60 % without a window.'],
  ['numbers that have changed places', 'Cut build time by 12 % for 40 teams without a window.'],
  ['numbers in words', 'Cut build time for twelve hundred teams without a window.'],
  ['an employer nobody named', 'Cut build time by 40 % at Initech without a window.'],
  ['a tool in lower case', 'Cut build time by 40 % with kubernetes without a window.'],
  ['a tool that opens the sentence', 'Kubernetes: cut build time without a window.'],
  ['an employer that opens a sentence', 'Cut build time without a window. Google hired me.'],
  ['a degree', 'Cut build time without a window, with a phd from harvard.'],
  ['a role', 'Led 12 teams without a window.'],
  ['the opposite', 'Increased build time by 40 % without a window.'],
  ['a negation dropped', 'Cut build time by 40 % with a maintenance window.'],
  ['nothing at all', '  '],
  ['a character that no font of ours prints', 'Cut build time without 🚀'],
  ['a text much longer than its source', 'Cut build time without a window. '.repeat(40)],
])('refuses %s', (_, rewording) => {
  expect(statesOnly(rewording, source)).toBe(false)
})

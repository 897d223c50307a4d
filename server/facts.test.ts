import { expect, it } from 'vitest'
import { statesOnly } from './facts.ts'

const source = 'Cut build time by 40 % for 12 teams with Bazel and C#.'
const profile = 'Ada Quill worked at Northwind Analytics with Kubernetes since 2019.'

it.each([
  ['the source itself', source],
  ['a rewording that adds nothing', 'Reduced build time by 40 % for 12 teams using Bazel and C#.'],
  ['a name from elsewhere in the profile', 'Cut build time by 40 % with Bazel on Kubernetes.'],
  ['a capital letter that opens a sentence', 'Helped 12 teams. Reduced build time.'],
])('accepts %s', (_, rewording) => {
  expect(statesOnly(rewording, source, profile)).toBe(true)
})

it.each([
  ['another number', 'Cut build time by 60 % for 12 teams.'],
  ['a number from elsewhere in the profile', 'Cut build time since 2019.'],
  ['an employer nobody named', 'Cut build time by 40 % at Initech.'],
  ['a tool nobody named', 'Cut build time by 40 % with Terraform.'],
  ['an acronym that opens a sentence', 'AWS build time cut by 40 %.'],
  ['nothing at all', '  '],
  ['a character that no font of ours prints', 'Cut build time by 40 % 🚀'],
  ['a text much longer than its source', 'Cut build time. '.repeat(40)],
])('refuses %s', (_, rewording) => {
  expect(statesOnly(rewording, source, profile)).toBe(false)
})

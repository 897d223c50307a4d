/** BENCHMARKS.md: what each bench has measured last, of the results in the tree and nothing else. */

import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { type Bench, QUESTIONS } from './benches.ts'
import { writeCapacity } from './capacity-page.ts'
import { escaped, figuresOf, numeral } from './figures.ts'
import { type StoredResult, storedResults } from './stored-result.ts'

const REPORT = new URL('../BENCHMARKS.md', import.meta.url)
/** Of all cores, before or after: other work that one can see in times. */
const MOST_BUSY = 0.1

/** And `ops/deploy/CAPACITY.md`, which is of one of them. */
export async function writeReport(): Promise<void> {
  const results = storedResults()
  await writeFile(REPORT, reportOf(results))
  const capacity = results.get('capacity')
  if (capacity) await writeCapacity(capacity)
}

/** Markdown. */
export function reportOf(results: ReadonlyMap<string, StoredResult>): string {
  const benches = Object.values(QUESTIONS).flatMap((of) => Object.keys(of))
  const stranger = [...results.keys()].find((name) => !benches.includes(name))
  if (stranger) throw new Error(`bench/results/${stranger}.json is of a bench that does not exist. Delete it.`)
  return [
    '# Benchmarks',
    '',
    'Written by `npm run bench -- report`, of what is in [`bench/results/`](bench/results/); not by hand. A bench that has ended stores its',
    'result there and writes this page anew, when it was asked for no less than by default. Limits are what was promised',
    'before it was measured; what misses its limit stays here as missed.',
    '',
    'Single times are the machine\u2019s that they were measured on. What is said of the project is a count, or a ratio of two',
    'things that were measured in turn in the same run. \u26a0 marks results of a machine that had other work to do: their times are',
    'too long, and their ratios may be off both ways.',
    '',
    ...summaryOf(results),
    ...Object.entries(QUESTIONS).flatMap(([question, of]) => [
      `## ${question}`,
      '',
      ...Object.entries(of).flatMap(([name, bench]) => sectionOf(name, bench, results.get(name))),
    ]),
  ].join('\n')
}

function summaryOf(results: ReadonlyMap<string, StoredResult>): string[] {
  if (results.size === 0) return []
  const lines = [...results.values()].map(({ name, targets, ...result }) => {
    const missed = targets.filter(({ ok }) => !ok).length
    const held = `${targets.length - missed} of ${targets.length}`
    return `| [${name}](#${name}) | ${held} | ${missed > 0 ? `${missed} missed` : ''} | ${result.date.slice(0, 10)} | ${flag(result)} |`
  })
  return ['| bench | limits held | | measured | |', '| --- | --- | --- | --- | --- |', ...lines, '']
}

function sectionOf(name: string, { about, runs, remark }: Bench, result: StoredResult | undefined): string[] {
  const head = [`### ${name}`, '', firstComment(name), '']
  const repeat = (count: number) =>
    `\`npm run --silent bench -- ${name}${count === runs ? '' : ` --runs ${count}`}\`: ${about}.`
  if (!result) return [...head, `Not measured yet. ${repeat(runs)}`, '']
  const { machine, load, date, commit, changed, seconds } = result
  const share = ({ busy, average }: typeof load.before) => `${numeral(busy * 100)} % busy, load ${numeral(average)}`
  return [
    ...head,
    `- Again: ${repeat(result.runs)}`,
    `- Measured ${date.replace('T', ' ')} UTC, in ${lasted(seconds)}, of ${commit ? `commit \`${commit}\`` : 'no commit'}${changed ? ' with changes that were not committed' : ''}`,
    `- On ${machine.cpu}, ${machine.cores} cores, ${machine.memoryGiB} GiB, Node ${machine.node}, ${machine.platform}`,
    `- ${flag(result) ? `\u26a0 Beside other work: ` : ''}before it the machine was ${share(load.before)}; after it ${share(load.after)}`,
    '',
    '| claim | measured | limit | |',
    '| --- | --- | --- | --- |',
    ...result.targets.map(
      ({ claim, value, limit, ok }) =>
        `| ${escaped(claim)} | ${numeral(value)} | ${numeral(limit)} | ${ok ? 'held' : '**missed**'} |`,
    ),
    '',
    ...(remark ? [remark, ''] : []),
    '<details><summary>All figures</summary>',
    '',
    ...figuresOf(result.results),
    '</details>',
    '',
  ]
}

const flag = ({ load }: Pick<StoredResult, 'load'>) =>
  load.before.busy > MOST_BUSY || load.after.busy > MOST_BUSY ? '\u26a0' : ''

/** What the bench's file says of itself. */
function firstComment(name: string): string {
  const [, comment = ''] = /^\/\*\*(.*?)\*\//s.exec(readFileSync(new URL(`${name}.ts`, import.meta.url), 'utf8')) ?? []
  return comment.replace(/\n \* ?/g, ' ').trim()
}

function lasted(seconds: number): string {
  if (seconds < 120) return `${seconds} seconds`
  return `${Math.round(seconds / 60)} minutes`
}

/** `ops/deploy/CAPACITY.md`: what the bench has measured, what is assumed, and what follows from both; and nothing by hand. */

import { writeFile } from 'node:fs/promises'
import type { Tier } from '../ops/deployed.ts'
import { peakToMean, shareOfBusiest } from './demand.ts'
import { numeral } from './figures.ts'
import {
  ASSUMED,
  BOUNDS,
  boundsOfCell,
  type CapacityResults,
  installsOfOne,
  MOST_WAIT_MS,
  type Plan,
  ZONES,
} from './plan.ts'
import type { StoredResult } from './stored-result.ts'

const PAGE = new URL('../ops/deploy/CAPACITY.md', import.meta.url)
const NAMES: Record<Tier, string> = {
  nginx: 'nginx',
  relays: 'relays',
  servers: 'servers, with Tectonic',
  redis: 'Redis',
  collector: 'Collector',
  samplers: 'samplers',
  window: 'Jaeger of the window',
  kept: 'Jaeger of what is kept',
}

/** Where it is spans that cost. */
const OF_SPANS: Tier[] = ['collector', 'samplers', 'window', 'kept']

export async function writeCapacity(result: StoredResult): Promise<void> {
  await writeFile(PAGE, capacityPage(result))
}

/** Markdown. */
export function capacityPage({ results, date, commit, machine, load }: StoredResult): string {
  const { runs, costs, plans } = results as CapacityResults
  const { demand, prices, tokensPerRun, machine: kind } = ASSUMED
  const per = (amount: number) => numeral(Number(amount.toPrecision(3)))
  const ms = (seconds: number) => per(seconds * 1_000)
  const table = (head: string[], rows: string[][]) => [
    `| ${head.join(' | ')} |`,
    `|${' --- |'.repeat(head.length)}`,
    ...rows.map((row) => `| ${row.join(' | ')} |`),
    '',
  ]
  const perPlan = (name: string, of: (plan: Plan) => string) => [name, ...plans.map(of)]
  const wait = ({ waitMs }: Plan['simulated']['well']) => `${seconds(waitMs.p50)} / ${seconds(waitMs.p99)}`
  const dollars = (amount: number) => `$${per(amount)}`
  return [
    '# Capacity',
    '',
    'Written by `npm run bench -- capacity`, of what it has measured and of what is assumed; not by hand. It says what to order, and',
    'which number to find out first. The simulation is [`bench/fleet.ts`](../../bench/fleet.ts), who comes when is',
    '[`bench/demand.ts`](../../bench/demand.ts), the arithmetic is [`bench/plan.ts`](../../bench/plan.ts).',
    '',
    '## What is measured',
    '',
    `${runs} runs and as many look-ups on everything that \`compose.yaml\` starts, as processes of one machine (${machine.cpu}, ${machine.cores} cores),`,
    `${date.slice(0, 10)}${commit ? `, commit \`${commit}\`` : ''}; the machine was ${numeral(Math.round(load.before.busy * 100))} % busy with other work before. Milliseconds of a core, without what each takes when nothing happens:`,
    '',
    ...table(
      ['', 'a run', 'a span of it', 'a look-up'],
      (Object.keys(NAMES) as Tier[]).map((tier) => [
        NAMES[tier],
        ms(costs.runCpu[tier]),
        OF_SPANS.includes(tier) ? ms(costs.runCpu[tier] / costs.spansPerRun) : '',
        ms(costs.lookUpCpu[tier]),
      ]),
    ),
    `A run has ${per(costs.spansPerRun)} spans of ${per(costs.bytesPerSpan)} bytes of OTLP (without the browser\u2019s, which come of failures, reports and one run`,
    `in a hundred), a PDF of ${per(costs.pdfBytes / 1_000)} kB, and leaves ${per(costs.redisBytesPerRun / 1_000)} kB in Redis.`,
    '',
    '## What the code allows',
    '',
    ...table(
      ['bound', '', 'from'],
      [
        ['runs under way in one Redis', numeral(BOUNDS.mostOpen), '`server/redis/runs.ts`'],
        [
          'runs that a server works on at once',
          numeral(BOUNDS.placesPerServer),
          '`LLM_CONCURRENCY=40`, `COMPILE_CONCURRENCY=2`',
        ],
        [
          'until a dead server\u2019s runs are found',
          `${BOUNDS.foundAfterMs.map((each) => each / 1_000).join(' to ')} s`,
          'BullMQ\u2019s locks, `server/redis/line.ts`',
        ],
        ['runs remembered in one Redis', '20,000', '`RUN_STORE_MAX_RUNS`, which has to be raised to those of a day'],
        ['runs of one install in an hour', '60', '`RELAY_QUOTA_INSTALL`; `RELAY_QUOTA_OVERALL` has to be raised'],
      ],
    ),
    '## What is assumed',
    '',
    'Nobody knows these yet. Each stands in [`bench/plan.ts`](../../bench/plan.ts); change it there, and run the bench again.',
    '',
    ...table(
      ['', '', 'why'],
      [
        [
          'runs of an install in a week',
          per(demand.runsPerWeek),
          'one in twenty looks for a job, and makes ten resumes',
        ],
        [
          'the busiest hour, to the average one',
          per(peakToMean()),
          'the shape of a day and of a week, `bench/demand.ts`',
        ],
        [
          'runs of one sitting, minutes between',
          `${demand.perSitting}, ${demand.pauseMs / 60_000}`,
          'people look at several postings',
        ],
        [
          'what the busiest hundredth of installs makes',
          `${per(shareOfBusiest({ ...demand, installs: 1 }) * 100)} %`,
          `log-normal, \u03c3 = ${demand.skew}`,
        ],
        [
          'a model\u2019s time: median, \u03c3 of the logarithm',
          `${ASSUMED.modelMs / 1_000} s, ${ASSUMED.modelSpread}`,
          'small models of 2025',
        ],
        [
          'a model\u2019s tokens for a run, in and out',
          `${numeral(tokensPerRun.input)}, ${numeral(tokensPerRun.output)}`,
          'a profile and a posting of two pages each',
        ],
        ['runs whose trace is kept', `${per(ASSUMED.keptShare * 100)} %`, '1 % sampled, 3 % failed, 0.5 % reported'],
        ['runs that support looks up', `${per(ASSUMED.lookUpShare * 100)} %`, ''],
        [
          'bytes on the disk for one of OTLP',
          per(ASSUMED.storedPerByte),
          'compressed, with indexes; written twice, for two machines',
        ],
        [
          'a machine',
          `${kind.cores} cores, ${kind.memoryGiB} GiB, ${dollars(prices.machineMonth)} a month`,
          'list prices of large clouds, 2025, without commitment',
        ],
        [
          'a GiB of disk, of traffic',
          `${dollars(prices.diskGiBMonth)} a month, ${dollars(prices.egressGiB)}`,
          'the same',
        ],
        [
          'a million tokens, in and out',
          `${dollars(prices.inputTokens * 1e6)}, ${dollars(prices.outputTokens * 1e6)}`,
          'list price of a small model, 2025',
        ],
        [
          'of a core in the busiest hour with a zone gone',
          `${ASSUMED.busyAtMost * 100} %`,
          'room for bursts, which the simulation tries',
        ],
      ],
    ),
    '## What to order',
    '',
    `Cells that share nothing: nginx, relays, servers, Redis, Collectors and Jaegers, in ${ZONES} zones. An install belongs to one by its ID. A cell is as`,
    'large as the first of these allows, in runs a second of its busiest hour, at half of what the bound is:',
    '',
    ...table(
      ['what bounds a cell', 'runs a second'],
      Object.entries(boundsOfCell(costs, ASSUMED, BOUNDS)).map(([name, rate]) => [name, per(rate)]),
    ),
    ...table(
      ['installs', ...plans.map(({ installs }) => numeral(installs))],
      [
        perPlan('runs a second, on average', ({ runsPerSecond }) => per(runsPerSecond.mean)),
        perPlan('in the busiest hour', ({ runsPerSecond }) => per(runsPerSecond.peak)),
        perPlan('spans a second then', ({ spansPerSecond }) => per(spansPerSecond)),
        perPlan('cells', ({ cells }) => numeral(cells)),
        perPlan('servers of 2 cores in each zone of a cell', ({ serversPerZone }) => numeral(serversPerZone)),
        perPlan('relays in each zone of a cell', ({ relaysPerZone }) => numeral(relaysPerZone)),
        ...(Object.keys(NAMES) as Tier[]).map((tier) =>
          perPlan(`cores of a cell: ${NAMES[tier]}`, ({ coresOf }) => per(coresOf[tier])),
        ),
        perPlan(`machines of ${kind.cores} cores, in all`, ({ machines }) => numeral(machines)),
        perPlan('disk for traces, GiB', ({ diskGiB }) => per(diskGiB)),
        perPlan('memory for Redis, GiB', ({ redisGiB }) => per(redisGiB)),
        perPlan('machines, a month', ({ money }) => dollars(money.machines)),
        perPlan('disk', ({ money }) => dollars(money.disk)),
        perPlan('traffic', ({ money }) => dollars(money.egress)),
        perPlan('the model', ({ money }) => dollars(money.model)),
        perPlan('**all of it, a month**', ({ money }) => `**${dollars(money.total)}**`),
        perPlan('a thousand runs', ({ money }) => dollars(money.per1000Runs)),
      ],
    ),
    'The fewest machines are one for each zone. Who can do without a zone for a while needs none of this: by the same arithmetic one',
    `machine with relay, server and SQLite is enough for ${numeral(Number(installsOfOne(costs).toPrecision(1)))} installs, until it is gone.`,
    '',
    '## What the simulation says',
    '',
    `Half an hour of the busiest one in a cell; after ten minutes a zone is gone, for ten. Waiting is what a run takes beyond its own`,
    `time with the model and on a core. A plan is refused, and gets another server in each zone, when a run is refused or one in a`,
    `hundred waits longer than ${MOST_WAIT_MS.well / 1_000} s, or ${MOST_WAIT_MS.zoneGone / 1_000} s with a zone gone.`,
    '',
    ...table(
      ['installs', ...plans.map(({ installs }) => numeral(installs))],
      [
        perPlan('runs', ({ simulated }) => numeral(simulated.well.runs)),
        perPlan('wait, median / 99 of 100', ({ simulated }) => wait(simulated.well)),
        perPlan('cores busy', ({ simulated }) => `${per(simulated.well.busy * 100)} %`),
        perPlan('with a zone gone: wait', ({ simulated }) => wait(simulated.zoneGone)),
        perPlan('the longest wait', ({ simulated }) => seconds(simulated.zoneGone.waitMs.most)),
        perPlan('runs that another server took over', ({ simulated }) => numeral(simulated.zoneGone.takenOver)),
        perPlan('runs under way, at most', ({ simulated }) => numeral(simulated.zoneGone.mostOpen)),
        perPlan('runs refused', ({ simulated }) => numeral(simulated.zoneGone.refused)),
      ],
    ),
    '## What it does not say',
    '',
    '- A Jaeger of one machine has no second one: its zone\u2019s failure takes the look-ups with it, and spans wait in the samplers, on',
    '  disk. For large cells put ClickHouse, Cassandra or OpenSearch below it; their cost is not measured here.',
    '- A Redis that fails over loses what it had not replicated: those runs are posted again by their browsers.',
    '- Cells are chosen by a name: the extension has one relay address. A load balancer that hashes the install, or an address for',
    '  each cell that is handed out with the install, is not built.',
    '- Browsers\u2019 spans, checks, Prometheus and Grafana are not counted. Nor is anybody\u2019s work.',
    '',
  ].join('\n')
}

function seconds(milliseconds: number): string {
  return milliseconds < 1_000
    ? `${numeral(milliseconds)} ms`
    : `${numeral(Number((milliseconds / 1_000).toPrecision(3)))} s`
}

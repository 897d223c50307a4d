/**
 * `node ops/dashboards/draw.ts FOLDER`: the dashboards as pictures, at the width of a desk and of a telephone, with what a
 * real Prometheus answers to their queries. Not Grafana: an honest stand-in that draws order, sizes, titles, units,
 * legends, thresholds and empty states from the same JSON. With `--empty`, as they are before anything has happened.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { chromium } from '@playwright/test'
import { closeOnSignal, exitOnSignals } from '../closing.ts'
import { findChromium } from '../setup/chromium.ts'
import { Progress } from '../setup/progress.ts'
import { findPrometheus } from '../setup/prometheus.ts'
import { NAMES } from './board.ts'
import { startFilledPrometheus } from './filled-prometheus.ts'
import { type Answered, pageOf } from './picture.ts'
import { ask, queriesOf } from './queries.ts'
import { DASHBOARDS } from './write.ts'

const SPAN = { seconds: 6 * 3600, scrape: 60 }
const CHOSEN = { service: '.*', version: '.*', synthetic: 'false', price_input: '0.25', price_output: '2.00' }

const [folder = 'dashboards'] = process.argv.slice(2).filter((argument) => !argument.startsWith('--'))
// A time before anything happened has no samples.
const before = process.argv.includes('--empty') ? 30 * 24 * 3600 : 0

exitOnSignals()
const progress = new Progress()
const programs = await findPrometheus(progress)
const executablePath = await findChromium(progress)
const prometheus = await startFilledPrometheus(programs, SPAN)
const forget = closeOnSignal(prometheus.close)
const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] })
try {
  mkdirSync(folder, { recursive: true })
  for (const name of NAMES) {
    const answered: Answered[] = []
    for (const asked of queriesOf(DASHBOARDS[name])) {
      const answer = await ask(prometheus.base, asked, { ...SPAN, to: prometheus.to - before }, CHOSEN)
      answered.push({ asked, answer })
    }
    for (const width of [1280, 390]) {
      const page = await browser.newPage({ viewport: { width, height: 800 }, colorScheme: 'dark' })
      await page.setContent(pageOf(DASHBOARDS[name], answered, width))
      const path = join(folder, `${name}-${width}.png`)
      await page.screenshot({ path, fullPage: true })
      console.log(path)
      await page.close()
    }
  }
} finally {
  await browser.close()
  forget()
  await prometheus.close()
}

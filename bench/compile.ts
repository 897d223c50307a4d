/**
 * What a resume takes to typeset: the way the server does it, beside what `tectonic resume.tex` takes for the same text,
 * and each step between the two; and what a neighbour notices while hostile LaTeX runs.
 */

import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { closeOnSignal } from '../ops/closing.ts'
import { Progress } from '../ops/setup/progress.ts'
import { setUpToolchain } from '../ops/setup/toolchain.ts'
import { templateToPrepare } from '../server/formats.ts'
import { renderLatex, TEMPLATE } from '../server/latex.ts'
import { Profile } from '../server/request-contract.ts'
import { bareCommand, type Command, inputFolder, type Job, outputFolder } from '../server/sandbox.ts'
import { tailor } from '../server/tailor.ts'
import { Tectonic } from '../server/tectonic.ts'
import { runToEnd } from '../server/tectonic-process.ts'
import { type TemplateFormat, templateFormat } from '../server/template-format.ts'
import type { Toolchain } from '../server/toolchain.ts'
import { typefaceOf } from '../server/typeface.ts'
import type { Measured } from './bench.ts'
import { median, medianWithin, rounded } from './median.ts'
import { percentile } from './percentile.ts'
import { atMost } from './target.ts'

const WARM_UP = 3
const MAX_OF_PLAIN = 0.2
const MAX_OF_QUIET = 1.2

/** The same page with the packages of most templates on the web: fonts by fontspec, links and outline by hyperref. */
const withFontspec = (tex: string) => {
  const fonts = '\\usepackage{fontspec}\\setmainfont{lmroman10-regular.otf}[BoldFont=lmroman10-bold.otf]\n'
  const links = tex.includes('{hyperref}') ? '' : '\\usepackage[hidelinks]{hyperref}\n'
  return tex.replace(/^\\resumefonts\n/m, '').replace(/^\\documentclass.*\n/m, (line) => line + fonts + links)
}

/** Each with the resource that it would like to have for itself. */
const ATTACKS: Record<string, string> = {
  'an endless loop': String.raw`\loop\iftrue\repeat`,
  'endless output': String.raw`\def\x{\immediate\write16{xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx}\x}\x`,
  'endless memory': String.raw`\def\x{\count1=0 \advance\count2 by1 \expandafter\def\csname a\the\count2\endcsname{xxxxxxxxxxxxxxxx}\x}\x`,
  'endless pages': String.raw`\def\x{x\newpage\x}\x`,
}

/** `runs` of each variant, in turn. */
export async function benchCompile(runs: number): Promise<Measured> {
  const toolchain = await setUpToolchain(new Progress(process.stderr))
  if (!toolchain.bundle || !toolchain.formats) throw new Error('Without a bundle there is no format to measure.')
  const format = await templateFormat(toolchain, await templateToPrepare(toolchain, TEMPLATE), [toolchain.formats])
  const tex = await resume(toolchain)
  const folder = await mkdtemp(join(tmpdir(), 'pass-ats-bench-'))
  const forget = closeOnSignal(() => rm(folder, { recursive: true, force: true }))
  try {
    const variants = await variantsOf(toolchain, format, tex, folder)
    const wall = new Map(Object.keys(variants).map((name) => [name, [] as number[]]))
    const cpu: number[] = []
    for (let run = 0; run < WARM_UP + runs; run++) {
      for (const [name, variant] of Object.entries(variants)) {
        const { wallMs, cpuMs } = await variant()
        if (run < WARM_UP) continue
        wall.get(name)?.push(wallMs)
        if (name === SERVER && cpuMs !== undefined) cpu.push(cpuMs)
      }
    }
    const milliseconds = Object.fromEntries(
      [...wall].map(([name, ms]) => [
        name,
        { min: rounded(Math.min(...ms)), ...medianWithin(ms), p95: percentile(ms, 0.95) },
      ]),
    )
    const share = rounded(median(wall.get(SERVER) ?? []) / median(wall.get(PLAIN) ?? []))
    const neighbours = toolchain.bwrap ? await measureNeighbours(toolchain, format, tex, runs) : {}
    const slowed = Math.max(...Object.values(neighbours).map(({ ratio }) => ratio))
    return {
      results: { runs, milliseconds, cpuMs: medianWithin(cpu), neighbours },
      targets: [
        atMost(`${SERVER}, of ${PLAIN} (medians)`, share, MAX_OF_PLAIN),
        atMost('a resume while hostile LaTeX is compiled, of one alone (median, worst attack)', slowed, MAX_OF_QUIET),
      ],
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
    forget()
  }
}

const PLAIN = 'plain `tectonic resume.tex`: fontspec and hyperref, as many passes as references need'
const SERVER = 'as the server does it, in the sandbox'

interface Took {
  wallMs: number
  cpuMs?: number | undefined
}

async function variantsOf(
  toolchain: Toolchain,
  format: TemplateFormat,
  tex: string,
  folder: string,
): Promise<Record<string, () => Promise<Took>>> {
  let jobs = 0
  const bare = async (text: string, used: Toolchain, args: string[], env: Record<string, string> = {}) => {
    const job: Job = { folder: join(folder, String(jobs++)), main: 'resume.tex' }
    await mkdir(inputFolder(job), { recursive: true })
    await mkdir(outputFolder(job))
    await writeFile(join(inputFolder(job), job.main), text)
    const command = bareCommand(used, job, args)
    return () => timed({ ...command, env: { ...command.env, ...env } }, job.folder)
  }
  const small = { GLIBC_TUNABLES: 'glibc.malloc.hugetlb=0' }
  const dumped = { ...toolchain, texCache: format.texCache }
  const rest = tex.slice(format.preamble.length)
  const once = ['--reruns', '0']
  const withFormat = [...once, '--format', format.name]
  const server = new Tectonic({
    toolchain,
    format: Promise.resolve(format),
    timeoutMs: 30_000,
    concurrency: 1,
    queueLimit: 1,
  })
  return {
    [PLAIN]: await bare(withFontspec(tex), toolchain, [], small),
    'one pass': await bare(withFontspec(tex), toolchain, once, small),
    'and without fontspec, as our template is': await bare(tex, toolchain, once, small),
    'and the preamble in the format': await bare(rest, dumped, withFormat, small),
    'and huge pages': await bare(rest, dumped, withFormat),
    'and a bundle of what it reads': await bare(rest, { ...dumped, bundle: format.bundle }, withFormat),
    [SERVER]: async () => {
      const before = performance.now()
      const { cpuSeconds } = await server.compile(tex, { trust: 'own' })
      return { wallMs: performance.now() - before, cpuMs: cpuSeconds && cpuSeconds * 1_000 }
    },
  }
}

async function timed(command: Command, cwd: string): Promise<Took> {
  const { code, stderr, wallSeconds } = await runToEnd(command, { cwd, timeoutMs: 60_000 })
  if (code !== 0) throw new Error(`A page could not be typeset: ${stderr}`)
  return { wallMs: wallSeconds * 1_000 }
}

/** The time of a resume alone and beside each attack, which is sent again whenever it has ended; in turn. */
async function measureNeighbours(toolchain: Toolchain, format: TemplateFormat, tex: string, runs: number) {
  const options = { toolchain, format: Promise.resolve(format), concurrency: 2, queueLimit: 64 }
  const server = new Tectonic({ ...options, timeoutMs: 30_000 })
  const time = async () => {
    const before = performance.now()
    await server.compile(tex, { trust: 'own' })
    return performance.now() - before
  }
  // Short turns: what else the machine does comes and goes.
  const rounds = Math.min(runs, 10)
  const table: Record<string, { aloneMs: number; besideMs: number; ratio: number }> = {}
  for (const [name, body] of Object.entries(ATTACKS)) {
    const alone: number[] = []
    const beside: number[] = []
    for (let round = 0; round < rounds; round++) {
      for (let run = 0; run < runs / rounds; run++) alone.push(await time())
      const stop = new AbortController()
      const attacking = attack(server, body, stop.signal)
      await time() // until it is under way
      for (let run = 0; run < runs / rounds; run++) beside.push(await time())
      stop.abort()
      await attacking
    }
    const ratio = rounded(median(beside) / median(alone))
    table[name] = { aloneMs: rounded(median(alone)), besideMs: rounded(median(beside)), ratio }
  }
  return table
}

async function attack(server: Tectonic, body: string, signal: AbortSignal): Promise<void> {
  const tex = `\\documentclass{article}\\begin{document}${body}\\end{document}\n`
  while (!signal.aborted) await server.compile(tex, { trust: 'foreign', signal }).catch(() => {})
}

/** A page, tailored for a posting that asks for little. */
async function resume(toolchain: Toolchain): Promise<string> {
  const text = await readFile(new URL('../fixtures/profiles/short.json', import.meta.url), 'utf8')
  const posting = { source: 'selection', title: '', company: '', location: '', description: 'Kafka' }
  const request = { profile: Profile.parse(JSON.parse(text)), posting }
  const tailored = await tailor(request as Parameters<typeof tailor>[0], undefined, new AbortController().signal)
  const plain = new Tectonic({ toolchain, timeoutMs: 60_000, concurrency: 1, queueLimit: 1 })
  return renderLatex(tailored, { typeface: await typefaceOf(plain, TEMPLATE) }).tex
}

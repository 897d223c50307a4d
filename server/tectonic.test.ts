import { execFile, spawn } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { SpanKind, SpanStatusCode, trace } from '@opentelemetry/api'
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { scrape, sumOf } from '../fixtures/metrics/scraped.ts'
import {
  ATTR_COMPILE_FORMAT,
  ATTR_COMPILE_OUTCOME,
  ATTR_FAILURE_CODE,
  ATTR_LATEX_ERROR_LINE,
  ATTR_LATEX_ERROR_PART,
  ATTR_PROCESS_EXIT_CODE,
  SPAN_TECTONIC,
} from '../names.ts'
import { readToolchain } from '../ops/setup/toolchain.ts'
import { Failure } from './failure.ts'
import { type Compiled, type CompileOptions, Tectonic } from './tectonic.ts'
import type { Toolchain } from './toolchain.ts'

const OWN: CompileOptions = { trust: 'own' }
const FOREIGN: CompileOptions = { trust: 'foreign' }
const ENDLESS = page(String.raw`\loop\iftrue\repeat`)

let toolchain: Toolchain
let temporary: string

beforeAll(async () => {
  toolchain = await readToolchain()
  // A temporary folder of our own: other tests compile at the same time.
  temporary = await mkdtemp(join(tmpdir(), 'pass-ats-test-'))
  vi.stubEnv('TMPDIR', temporary)
})

afterAll(async () => {
  vi.unstubAllEnvs()
  const left = await readdir(temporary)
  await rm(temporary, { recursive: true })
  expect(left, 'job folders left behind').toEqual([])
})

describe('Tectonic', () => {
  it('makes a PDF of a page and tells what it cost', async () => {
    const compiled = await tectonic().compile(page('Ready to typeset.'), OWN)
    expect(await textOf(compiled)).toContain('Ready to typeset.')
    expect(compiled).toMatchObject({ passes: 1, sandboxed: toolchain.bwrap !== undefined })
    expect(compiled.cpuSeconds).toBeGreaterThan(0)
    expect(compiled.peakMemoryBytes).toBeGreaterThan(30_000_000)
  })

  it('gives the same bytes for the same page', async () => {
    const [first, second] = await Promise.all([1, 2].map(() => tectonic().compile(page('Twice.'), OWN)))
    expect(first?.pdf).toEqual(second?.pdf)
  })

  it('runs again until references are right when the LaTeX is not ours', async () => {
    const compiled = await tectonic().compile(
      page(String.raw`See page \pageref{end}.\newpage Here.\label{end}`),
      FOREIGN,
    )
    expect(compiled.passes).toBeGreaterThan(1)
    expect(await textOf(compiled)).toContain('See page 2.')
  })

  it('typesets formulas, whose fonts need the font map', async () => {
    const compiled = await tectonic().compile(page(String.raw`$\alpha_1 = \int_0^1 x\,dx$`), FOREIGN)
    expect(await textOf(compiled)).toContain('α')
  })

  it('names the line of a LaTeX error', async () => {
    const failure = await failureOf(tectonic().compile(page('fine\n\\undefinedthing'), OWN))
    expect(failure).toMatchObject({ code: 'latex_invalid', latexErrorLine: 5 })
    expect(failure.detail).toBe('line 5: Undefined control sequence')
  })

  it('records what the process did in its span, and nothing that the person wrote', async () => {
    const exporter = new InMemorySpanExporter()
    trace.setGlobalTracerProvider(new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }))
    try {
      await tectonic().compile(page('Ada'), OWN)
      await failureOf(tectonic().compile(page('Ada \\Lovelace'), OWN))
    } finally {
      trace.disable()
    }
    const [made, failed] = exporter.getFinishedSpans()
    expect(made).toMatchObject({ name: SPAN_TECTONIC, kind: SpanKind.CLIENT, status: { code: SpanStatusCode.UNSET } })
    expect(made?.attributes).toMatchObject({ [ATTR_COMPILE_OUTCOME]: 'ok', [ATTR_PROCESS_EXIT_CODE]: 0 })
    expect(failed).toMatchObject({ status: { code: SpanStatusCode.ERROR }, events: [] })
    expect(made?.attributes[ATTR_COMPILE_FORMAT]).toBe('latex')
    expect(failed?.attributes).toMatchObject({
      [ATTR_FAILURE_CODE]: 'latex_invalid',
      [ATTR_LATEX_ERROR_LINE]: 4,
      [ATTR_LATEX_ERROR_PART]: 'template',
    })
    expect(JSON.stringify([made, failed].map((span) => [span?.attributes, span?.status]))).not.toMatch(/Ada|Lovelace/)
  })

  it('names a package that is missing', async () => {
    const tex = page('', String.raw`\usepackage{nosuchpackage}`)
    const failure = await failureOf(tectonic().compile(tex, OWN))
    expect(failure.code).toBe('latex_invalid')
    expect(failure.detail).toContain('nosuchpackage.sty')
  })

  it('names a character that the font cannot print, though Tectonic succeeds', async () => {
    const failure = await failureOf(tectonic().compile(page('Straße 日'), OWN))
    expect(failure).toMatchObject({ code: 'unsupported_character', detail: 'line 4: “日” (U+65E5)' })
  })

  it('shows LaTeX from outside no file of this machine', async () => {
    const secret = join(await mkdtemp(join(tmpdir(), 'pass-ats-secret-')), 'secret.txt')
    await writeFile(secret, 'SECRETWORD')
    try {
      for (const path of ['/etc/passwd', secret, `..${secret}`]) {
        const tex = page(String.raw`\catcode95=12 \input{${path}}`)
        const { message, detail, code } = await failureOf(tectonic().compile(tex, FOREIGN))
        expect(code).toBe('latex_invalid')
        expect(`${message} ${detail}`).not.toMatch(/root:|SECRETWORD/)
        const tried = page(String.raw`\catcode95=12 \IfFileExists{${path}}{FOUND}{NOTHING}`)
        const compiled = await tectonic().compile(tried, FOREIGN)
        expect(`${await textOf(compiled)} ${compiled.log}`).not.toMatch(/FOUND|root:|SECRETWORD/)
      }
    } finally {
      await rm(join(secret, '..'), { recursive: true })
    }
  })

  it('lets LaTeX from outside write nowhere but in its job', async () => {
    const target = join(temporary, 'written')
    const tex = page(
      String.raw`\newwrite\out\immediate\openout\out=${target}.txt \immediate\write\out{x}\closeout\out x`,
    )
    await tectonic()
      .compile(tex, FOREIGN)
      .catch(() => {})
    expect(await readdir(temporary)).toEqual([])
  })

  it('ends an endless loop and leaves no process', async () => {
    const compiling = failureOf(tectonic({ timeoutMs: 1_500 }).compile(ENDLESS, FOREIGN))
    const started = await processesOfSandbox()
    expect((await compiling).code).toBe('compile_timeout')
    // Polled: a killed process is in the list for the few milliseconds that the kernel takes its memory back.
    await expect.poll(() => alive(started)).toEqual([])
  })

  it('says that memory ran out when Tectonic takes all it is allowed', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'pass-ats-prlimit-'))
    const prlimit = join(folder, 'prlimit')
    const lower = 'for a; do case $a in --as=*) a=--as=150000000 ;; esac; set -- "$@" "$a"; shift; done'
    await writeFile(prlimit, `#!/bin/sh\n${lower}\nexec ${toolchain.prlimit} "$@"\n`, { mode: 0o755 })
    try {
      const failure = await failureOf(tectonic({ toolchain: { ...toolchain, prlimit } }).compile(page('x'), OWN))
      expect(failure.code).toBe('out_of_memory')
    } finally {
      await rm(folder, { recursive: true })
    }
  })

  it('ends the process at once when the run is abandoned', async () => {
    const abandon = new AbortController()
    const compiling = failureOf(tectonic().compile(ENDLESS, { ...FOREIGN, signal: abandon.signal }))
    const started = await processesOfSandbox()
    abandon.abort()
    expect((await compiling).code).toBe('interrupted')
    // Polled: a killed process is in the list for the few milliseconds that the kernel takes its memory back.
    await expect.poll(() => alive(started)).toEqual([])
  })

  it.each(['cancelled', 'interrupted', 'overloaded'] as const)('has not crashed when its run is %s', async (code) => {
    const exporter = new InMemorySpanExporter()
    trace.setGlobalTracerProvider(new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }))
    try {
      const run = new AbortController()
      const onTurn = () => run.abort(new Failure(code).toAbort())
      const failure = await failureOf(tectonic().compile(ENDLESS, { ...OWN, signal: run.signal, onTurn }))
      expect(failure.code).toBe(code)
    } finally {
      trace.disable()
    }
    expect(exporter.getFinishedSpans()[0]?.attributes[ATTR_COMPILE_OUTCOME]).toBe('interrupted')
  })

  it('leaves no process when whoever started it is killed', async () => {
    const script = `
      import { Tectonic } from ${JSON.stringify(new URL('./tectonic.ts', import.meta.url).href)}
      const toolchain = ${JSON.stringify(toolchain)}
      const server = new Tectonic({ toolchain, timeoutMs: 60_000, concurrency: 1, queueLimit: 1 })
      await server.compile(${JSON.stringify(ENDLESS)}, { trust: 'foreign' })`
    const server = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: 'ignore' })
    const started = await processesOfSandbox(server.pid)
    server.kill('SIGKILL')
    await expect.poll(() => alive(started)).toEqual([])
    // What it could not clear away is cleared by the next, after an hour; here by us.
    await Promise.all((await readdir(temporary)).map((name) => rm(join(temporary, name), { recursive: true })))
  })

  it('says so when Tectonic is not there', async () => {
    const nowhere = { ...toolchain, tectonic: '/nowhere/tectonic' }
    for (const missing of [undefined, nowhere, { ...nowhere, bwrap: undefined, prlimit: undefined }]) {
      const failure = await failureOf(tectonic({ toolchain: missing }).compile(page('x'), OWN))
      expect(failure.code).toBe('tectonic_unavailable')
    }
  })

  it('refuses LaTeX from outside without a sandbox, and still makes our own', async () => {
    const unsafe = tectonic({ toolchain: { ...toolchain, bwrap: undefined } })
    expect((await failureOf(unsafe.compile(page('x'), FOREIGN))).code).toBe('sandbox_unavailable')
    expect(await unsafe.compile(page('x'), OWN)).toMatchObject({ sandboxed: false })
  })

  it('refuses LaTeX from outside when the sandbox does not start', async () => {
    const broken = tectonic({ toolchain: { ...toolchain, bwrap: '/bin/false' } })
    expect((await failureOf(broken.compile(page('x'), FOREIGN))).code).toBe('sandbox_unavailable')
  })

  it('runs no more at once than it may, tells those who wait their place, and turns the rest away', async () => {
    const one = tectonic({ concurrency: 1, queueLimit: 2 })
    const places: string[] = []
    const compiling = ['a', 'b', 'c'].map((name) =>
      one
        .compile(page(name), { trust: 'own', onQueued: (place) => places.push(`${name}${place}`) })
        .then(() => places.push(`${name} done`)),
    )
    expect((await failureOf(one.compile(page('d'), OWN))).code).toBe('overloaded')
    await Promise.all(compiling)
    expect(places).toEqual(['b0', 'c1', 'c0', 'a done', 'b done', 'c done'])
  })

  it('tells the metric how many wait, whatever another one does that only tries a template', async () => {
    const one = tectonic({ concurrency: 1, queueLimit: 2 })
    one.tellWaiting()
    tectonic({})
    const waiting = async () => sumOf(await scrape(), 'pass_tectonic_queue_depth')
    const compiling = ['a', 'b', 'c'].map((name) => one.compile(page(name), OWN))
    expect(await waiting()).toBe(2)
    await Promise.all(compiling)
    expect(await waiting()).toBe(0)
  })

  it('lets LaTeX from outside wait while one of ours is compiled', async () => {
    const one = tectonic({ timeoutMs: 60_000 })
    const abandon = new AbortController()
    const endless = failureOf(one.compile(ENDLESS, { ...FOREIGN, signal: abandon.signal }))
    const [, inside] = await processesOfSandbox()
    const ours = one.compile(page(String.raw`\newcount\n\loop\ifnum\n<9000000\advance\n by1\repeat x`), OWN)
    await expect.poll(() => stateOf(inside)).toBe('T')
    await ours
    await expect.poll(() => stateOf(inside)).toBe('R')
    abandon.abort()
    expect((await endless).code).toBe('interrupted')
  })

  it('gives strangers half of the turns, and ours none of their wait', async () => {
    const server = tectonic({ concurrency: 2, queueLimit: 1 })
    const abandon = new AbortController()
    const foreign = { ...FOREIGN, signal: abandon.signal }
    const attacks = [1, 2].map(() => failureOf(server.compile(ENDLESS, foreign)))
    expect((await failureOf(server.compile(ENDLESS, foreign))).code).toBe('overloaded')
    await Promise.all(['a', 'b'].map((name) => server.compile(page(name), OWN)))
    abandon.abort()
    expect((await Promise.all(attacks)).map(({ code }) => code)).toEqual(['interrupted', 'interrupted'])
  })

  it('lets go of the queue when a run that waits is abandoned', async () => {
    const one = tectonic({ concurrency: 1, queueLimit: 1 })
    const abandon = new AbortController()
    const first = one.compile(page('first'), OWN)
    const waiting = failureOf(one.compile(page('never'), { ...OWN, signal: abandon.signal }))
    abandon.abort()
    expect((await waiting).code).toBe('interrupted')
    await Promise.all([first, one.compile(page('third'), OWN)])
  })
})

function tectonic(options: Partial<ConstructorParameters<typeof Tectonic>[0]> = {}): Tectonic {
  return new Tectonic({ toolchain, timeoutMs: 20_000, concurrency: 2, queueLimit: 10, ...options })
}

function page(body: string, preamble = ''): string {
  return `\\documentclass{article}\n${preamble}\n\\begin{document}\n${body}\n\\end{document}\n`
}

async function failureOf(compiling: Promise<Compiled>): Promise<Failure> {
  const outcome = await compiling.catch((error: unknown) => error)
  if (outcome instanceof Failure) return outcome
  throw new Error('expected a Failure', { cause: outcome })
}

async function textOf({ pdf }: Compiled): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'pass-ats-text-'))
  try {
    await writeFile(join(folder, 'a.pdf'), pdf)
    return (await promisify(execFile)('pdftotext', [join(folder, 'a.pdf'), '-'])).stdout
  } finally {
    await rm(folder, { recursive: true })
  }
}

/** Process IDs of a compile of ours that has just begun: bubblewrap and, inside it, Tectonic. */
async function processesOfSandbox(server = process.pid): Promise<number[]> {
  let found: number[] = []
  await expect
    .poll(async () => {
      const all = await processes()
      const outside = all.filter(({ parent, args }) => parent === server && args.includes('resume.tex'))
      const inside = all.filter(({ parent }) => outside.some(({ pid }) => pid === parent))
      found = [...outside, ...inside].map(({ pid }) => pid)
      return inside.length
    })
    .toBe(1)
  return found
}

/** As /proc has it: R runs, T is stopped. */
async function stateOf(pid: number | undefined): Promise<string | undefined> {
  return (await readFile(`/proc/${pid}/stat`, 'utf8')).match(/\) (.) /)?.[1]
}

async function alive(pids: number[]): Promise<number[]> {
  return (await processes()).filter(({ pid, zombie }) => pids.includes(pid) && !zombie).map(({ pid }) => pid)
}

async function processes() {
  const { stdout } = await promisify(execFile)('ps', ['-eo', 'pid=,ppid=,stat=,args='])
  return [...stdout.matchAll(/^\s*(\d+)\s+(\d+)\s+(\S+)\s+(.*)$/gm)].map(([, pid, parent, state, args = '']) => {
    return { pid: Number(pid), parent: Number(parent), zombie: state?.startsWith('Z'), args }
  })
}

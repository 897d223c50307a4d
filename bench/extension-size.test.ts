import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { Progress } from '../ops/setup/progress.ts'
import { builtSize } from './bundle-size.ts'
import { type ExtensionSize, measureExtension, sizeTargets } from './extension-size.ts'

it('the extension is within its sizes, and telemetry is part of what was weighed', async () => {
  const size = await measureExtension(new Progress(process.stderr))
  expect(sizeTargets(size).filter(({ ok }) => !ok)).toEqual([])
  expect(size.contentTelemetry.gzipped).toBeGreaterThan(50)
  expect(size.tracer.gzipped).toBeGreaterThan(5_000)
  expect(size.background.gzipped).toBeGreaterThan(size.tracer.gzipped)
  expect(size.lastResort.gzipped, 'Readability is not in the content script').toBeGreaterThan(size.content.gzipped)
})

it('each file that is imported counts once, however often and in whatever form', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'pass-ats-size-'))
  const files = {
    'worker.js': `import './a.js';\n`,
    'a.js': 'import{t as e}from"./b.js";import*as n from"./c.js";import r,{$ as o}from"./b.js";e(n,r,o)',
    'b.js': 'import"./a.js";export const t=1',
    'c.js': 'export const s="import"',
    'd.js': 'never()',
  }
  try {
    for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text)
    const expected = Object.entries(files).reduce((sum, [name, { length }]) => sum + (name === 'd.js' ? 0 : length), 0)
    expect(await builtSize(folder, 'worker.js')).toMatchObject({ minified: expected })
  } finally {
    await rm(folder, { recursive: true })
  }
})

it('a byte above the limit is too much', () => {
  const bytes = (gzipped: number) => ({ minified: gzipped, gzipped })
  const size = { background: bytes(30_001), content: bytes(20_000), contentTelemetry: bytes(2_001) } as ExtensionSize
  expect(sizeTargets(size).map(({ ok }) => ok)).toEqual([false, true, false])
})

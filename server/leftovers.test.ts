import { mkdir, mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { clearLeftovers, PDF_LIFE_MS } from './leftovers.ts'

it('removes PDFs and job folders past their time, and nothing else', async () => {
  const root = await mkdtemp(join(tmpdir(), 'pass-ats-leftovers-'))
  try {
    const [dist, temporary] = [join(root, 'dist'), join(root, 'tmp')]
    await mkdir(dist)
    await mkdir(temporary)
    const old = `${'a'.repeat(32)}.pdf`
    const fresh = `${'b'.repeat(32)}.pdf`
    for (const name of [old, fresh, 'my-own.pdf']) await writeFile(join(dist, name), '')
    for (const name of ['pass-ats-compile-1', 'pass-ats-compile-2', 'somebody-elses'])
      await mkdir(join(temporary, name))
    const then = new Date(Date.now() - PDF_LIFE_MS - 1_000)
    for (const path of [join(dist, old), join(dist, 'my-own.pdf')]) await utimes(path, then, then)
    for (const name of ['pass-ats-compile-1', 'somebody-elses']) await utimes(join(temporary, name), then, then)
    expect(await clearLeftovers(dist, temporary, Date.now())).toBe(2)
    expect((await readdir(dist)).sort()).toEqual([fresh, 'my-own.pdf'].sort())
    // The second may be a compilation that goes on.
    expect((await readdir(temporary)).sort()).toEqual(['pass-ats-compile-2', 'somebody-elses'])
    expect(await clearLeftovers(join(root, 'missing'), temporary, Date.now())).toBe(0)
  } finally {
    await rm(root, { recursive: true })
  }
})

import { expect, it } from 'vitest'
import { readToolchain } from '../ops/setup/toolchain.ts'
import { TEMPLATE } from './latex.ts'
import { canMakeResumes } from './pipeline.ts'
import { Tectonic } from './tectonic.ts'

it('is not ready with a template that cannot be typeset, though Tectonic is there', async () => {
  const tectonic = new Tectonic({ toolchain: await readToolchain(), timeoutMs: 30_000, concurrency: 1, queueLimit: 8 })
  await expect.poll(() => canMakeResumes({ tectonic, template: TEMPLATE })).toBe(true)
  expect(await tectonic.ready()).toBe(true)
  expect(await canMakeResumes({ tectonic, template: TEMPLATE.replace('@BODY@', '\\nonsense @BODY@') })).toBe(false)
})

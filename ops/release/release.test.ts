import { mkdir, mkdtemp, readFile, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { unzipSync } from 'fflate'
import { expect, onTestFinished, test, vi } from 'vitest'
import packageJson from '../../package.json' with { type: 'json' }
import { billOfMaterials } from './bill-of-materials.ts'
import { notesOf } from './changelog.ts'
import { zipOf } from './zip.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

async function folderWith(files: Record<string, string>, at: Date): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'pass-ats-release-test-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  for (const [name, content] of Object.entries(files)) {
    await mkdir(join(folder, name, '..'), { recursive: true })
    await writeFile(join(folder, name), content)
    await utimes(join(folder, name), at, at)
  }
  return folder
}

test('The same files make the same zip, whenever and in whatever order they were written', async () => {
  const one = await folderWith({ 'manifest.json': '{}', 'assets/a.js': 'a'.repeat(9_999) }, new Date(2001, 1, 1))
  const other = await folderWith({ 'assets/a.js': 'a'.repeat(9_999), 'manifest.json': '{}' }, new Date(2026, 11, 1))
  const zip = await zipOf(one)
  expect(Buffer.from(zip).equals(await zipOf(other))).toBe(true)
  const files = unzipSync(zip)
  expect(Object.keys(files)).toEqual(['assets/a.js', 'manifest.json'])
  expect(Buffer.from(files['manifest.json'] ?? []).toString()).toBe('{}')
})

test('The bill of materials has what the product needs, and neither a tool nor the name of a folder', () => {
  // As after a build with Vite.
  vi.stubEnv('NODE_ENV', 'production')
  onTestFinished(() => void vi.unstubAllEnvs())
  const bill = billOfMaterials(ROOT, packageJson.name, '2026-01-01T00:00:00.000Z')
  const { bomFormat, metadata, components, dependencies } = JSON.parse(bill)
  const refs = new Set(components.map((component: { 'bom-ref': string }) => component['bom-ref']))
  expect(
    dependencies.flatMap(({ dependsOn }: { dependsOn: string[] }) => dependsOn.filter((ref) => !refs.has(ref))),
  ).toEqual([])
  expect({ bomFormat, name: metadata.component.name }).toEqual({ bomFormat: 'CycloneDX', name: packageJson.name })
  const named = new Set(components.map(({ name }: { name: string }) => name))
  for (const name of Object.keys(packageJson.dependencies)) expect(named).toContain(name)
  expect(named).not.toContain('vitest')
  expect(bill).not.toContain(ROOT)
})

test('CHANGELOG.md says what is new in the version of package.json', async () => {
  const changelog = await readFile(join(ROOT, 'CHANGELOG.md'), 'utf8')
  expect(notesOf(changelog, packageJson.version)).toMatch(/^### Added\n/)
  expect(() => notesOf(changelog, '9.9.9')).toThrow(/\[9\.9\.9\] - YYYY-MM-DD/)
  expect(() => notesOf('## [1.0.0]\n\nSomething.\n', '1.0.0')).toThrow(/YYYY-MM-DD/)
})

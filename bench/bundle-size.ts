/** How much code a browser has to load, minified as the extension is and then gzipped. */

import { readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { build, type Plugin, type Rollup } from 'vite'

/** Bytes. */
export interface BundleSize {
  minified: number
  gzipped: number
}

/**
 * The size of `entry` (an absolute path) with everything it imports, built with vite's own settings, which are also the
 * extension's. What is imported dynamically is not counted: it may never be loaded. Throws when it cannot be built.
 */
export async function bundleSize(entry: string, plugins: Plugin[] = []): Promise<BundleSize> {
  const result = await build({
    configFile: false,
    root: dirname(entry),
    logLevel: 'error',
    plugins,
    build: { write: false, rolldownOptions: { input: entry } },
  })
  const { output } = result as Rollup.RollupOutput
  const chunks = new Map(output.flatMap((file) => (file.type === 'chunk' ? [[file.fileName, file]] : [])))
  const first = output[0].fileName
  return sizeOf(reached(first, (name) => chunks.get(name)?.imports ?? []).map((name) => chunks.get(name)?.code ?? ''))
}

/** The size of a built file, a path in `folder`, with every file that it imports. Throws when one is missing. */
export async function builtSize(folder: string, file: string): Promise<BundleSize> {
  const texts = new Map<string, string>()
  const waiting = [file]
  for (const name of waiting) {
    if (texts.has(name)) continue
    const text = await readFile(join(folder, name), 'utf8')
    texts.set(name, text)
    waiting.push(...[...text.matchAll(IMPORT)].map(([, path]) => join(dirname(name), path as string)))
  }
  return sizeOf([...texts.values()])
}

/** As minified code writes it: `import{a as b}from"./c.js"`, `import"./c.js"`. */
const IMPORT = /\bimport\s*(?:[\w\s{},*$]+?from\s*)?["'`](\.[^"'`]+)["'`]/g

function reached(first: string, importsOf: (name: string) => readonly string[]): string[] {
  const names = [first]
  for (const name of names) names.push(...importsOf(name).filter((imported) => !names.includes(imported)))
  return [...new Set(names)]
}

// Each file by itself, as it is loaded.
function sizeOf(files: readonly string[]): BundleSize {
  const sum = (bytes: (file: string) => number) => files.reduce((total, file) => total + bytes(file), 0)
  return { minified: sum((file) => Buffer.byteLength(file)), gzipped: sum((file) => gzipSync(file).byteLength) }
}

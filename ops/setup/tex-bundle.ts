/**
 * TeX's input files as one flat folder, which Tectonic reads with `--bundle` and no network.
 *
 * Made from Debian's packages, unpacked and not installed: installing TeX Live runs minutes of index and format
 * building for programs that are never started here. Everything TeX can read is kept, not only what a resume reads:
 * POST /compile takes any LaTeX. Real files and no symlinks, so that the sandbox needs this folder and nothing else.
 */

import { createHash } from 'node:crypto'
import { link, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { inWorkFolder, made } from './cache.ts'
import { type Debian, unpackPackages } from './debian.ts'

const PACKAGES = [
  'texlive-base',
  'texlive-latex-base',
  'texlive-latex-recommended',
  'texlive-fonts-recommended',
  'texlive-xetex',
  'lmodern',
  'fonts-lmodern',
  'fonts-cmu',
  'fonts-dejavu-core',
]

/** Folders with TeX input, most wanted first: the bundle is flat, and of two files of one name the first is kept. */
const FOLDERS = [
  'tex/latex',
  'tex/xelatex',
  'tex/xetex',
  'tex/generic',
  'tex/plain',
  'fonts/opentype',
  'fonts/truetype',
  'fonts/type1',
  'fonts/tfm',
  'fonts/vf',
  'fonts/enc',
  'fonts/map',
  'fonts/cmap',
  'fonts/misc',
  'dvipdfmx',
  'bibtex/bst',
  'bibtex/bib',
]

const TREES = ['usr/share/texlive/texmf-dist', 'usr/share/texmf', 'usr/share']
const FONT_MAPS = 'var/lib/tex-common/fontmap-cfg'

/** What the bundle is made of; change the version whenever the code below would make another. */
const RECIPE = { version: 2, packages: PACKAGES, folders: FOLDERS }

/** The bundle of this machine's release, made when there is none yet. */
export async function texBundle(system: Debian, now: (busy: string) => void): Promise<string> {
  return made('tex-bundle', { ...RECIPE, release: system.codename }, (bundle) =>
    inWorkFolder(async (work) => {
      now('downloading TeX packages with apt-get')
      const unpacked = join(work, 'unpacked')
      await unpackPackages(system, { release: system.codename, packages: PACKAGES, into: unpacked, work })
      now('building the TeX bundle')
      await flatten(unpacked, bundle)
      await writeFile(join(bundle, 'pdftex.map'), await fontMap(unpacked, bundle))
      // Debian generates language.dat when TeX is installed; English alone is what `language.us` asks for.
      await writeFile(join(bundle, 'language.dat'), await readFile(join(bundle, 'language.us')))
      await writeFile(join(bundle, 'tectonic-format-latex.tex'), '\\input xelatex.ini\n')
      await writeFile(join(bundle, 'SHA256SUM'), `${await digest(bundle)}\n`)
    }),
  )
}

async function flatten(unpacked: string, bundle: string): Promise<void> {
  const taken = new Set<string>()
  for (const folder of FOLDERS) {
    for (const tree of TREES) {
      const entries = await readdir(join(unpacked, tree, folder), { recursive: true, withFileTypes: true }).catch(
        () => [],
      )
      for (const entry of entries.sort((a, b) => (join(a.parentPath, a.name) < join(b.parentPath, b.name) ? -1 : 1))) {
        if (!entry.isFile() || taken.has(entry.name)) continue
        taken.add(entry.name)
        // A hard link moves the file without copying it: the unpacked tree goes away at the end.
        await link(join(entry.parentPath, entry.name), join(bundle, entry.name))
      }
    }
  }
}

/** `pdftex.map`, which names the outline of every Type 1 font: the maps that Debian's packages enable, in one. */
async function fontMap(unpacked: string, bundle: string): Promise<string> {
  const parts: string[] = []
  const settings = await readdir(join(unpacked, FONT_MAPS), { recursive: true, withFileTypes: true })
  for (const entry of settings.filter((each) => each.isFile())) {
    const text = await readFile(join(entry.parentPath, entry.name), 'utf8')
    for (const [, name = ''] of text.matchAll(/^(?:Mixed)?Map (\S+)$/gm)) {
      parts.push(await readFile(join(bundle, name), 'utf8').catch(() => ''))
    }
  }
  return parts.join('\n')
}

// Names the bundle for Tectonic's format cache, so it must change with any file, of whichever release.
async function digest(bundle: string): Promise<string> {
  const hash = createHash('sha256')
  for (const name of (await readdir(bundle)).sort()) hash.update(name).update(await readFile(join(bundle, name)))
  return hash.digest('hex')
}

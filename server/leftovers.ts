/** What an earlier process could not clear away: job folders with a resume in them, and PDFs past their time. */

import { readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'

/** How long a finished PDF lies in `dist/`, milliseconds. */
export const PDF_LIFE_MS = 24 * 3_600_000
/** Longer than any compilation: a job folder of this age is nobody's. */
const JOB_LIFE_MS = 3_600_000

/** Also what was set aside: it has names of files in it. */
const PDF = /^(?:[0-9a-f]{32}\.pdf(?:\.part)?|server\.sqlite\.corrupt)$/
const JOB = /^pass-ats-compile-/

/** Removes them. Returns how many went. Throws nothing: what cannot be removed now is tried again next time. */
export async function clearLeftovers(distDir: string, temporaryDir: string, now: number): Promise<number> {
  const pdfs = await removeOlder(distDir, PDF, now - PDF_LIFE_MS)
  const jobs = await removeOlder(temporaryDir, JOB, now - JOB_LIFE_MS)
  return pdfs + jobs
}

async function removeOlder(folder: string, names: RegExp, before: number): Promise<number> {
  let removed = 0
  for (const name of await readdir(folder).catch(() => [])) {
    if (!names.test(name)) continue
    const path = join(folder, name)
    const age = await stat(path).catch(() => undefined)
    if (!age || age.mtimeMs >= before) continue
    await rm(path, { recursive: true, force: true }).then(
      () => removed++,
      () => undefined,
    )
  }
  return removed
}

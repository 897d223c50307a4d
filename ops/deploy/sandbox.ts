/**
 * Loaded before the server in its container: `node … --import ./ops/deploy/sandbox.ts server/main.ts`.
 *
 * Whether bubblewrap works depends on where a container runs (its seccomp profile, the node's kernel), and not on where its
 * image was built. So the toolchain of the image is completed here, at each start, and written where there is room for it.
 */

import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Toolchain } from '../../server/toolchain.ts'
import { Progress } from '../setup/progress.ts'
import { findSandbox } from '../setup/toolchain.ts'

const inImage: Toolchain = JSON.parse(readFileSync(process.env.TOOLCHAIN ?? '', 'utf8'))
const bwrap = await findSandbox(inImage, undefined, new Progress(process.stderr))
const here = join(mkdtempSync(join(tmpdir(), 'pass-ats-toolchain-')), 'toolchain.json')
writeFileSync(here, JSON.stringify({ ...inImage, bwrap } satisfies Toolchain))
process.env.TOOLCHAIN = here

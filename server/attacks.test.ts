import { execFile, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmod, chown, copyFile, link, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { inflateSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Tried } from '../fixtures/latex/attack-runner.ts'
import { attacks, SECRET } from '../fixtures/latex/attacks.ts'
import { readToolchain } from '../ops/setup/toolchain.ts'
import type { Toolchain } from './toolchain.ts'

const RUNNER = fileURLToPath(new URL('../fixtures/latex/attack-runner.ts', import.meta.url))
const NOBODY = 65_534
const isRoot = process.getuid?.() === 0
const toolchain = await readToolchain()

/** Whether another user could run this here: the project may lie in a folder that is only ours. */
function letsOthers(): boolean {
  const seen = `fs.accessSync(${JSON.stringify(RUNNER)}); fs.accessSync(${JSON.stringify(tmpdir())}, fs.constants.X_OK)`
  return spawnSync(process.execPath, ['-e', seen], { uid: NOBODY, gid: NOBODY, cwd: '/' }).status === 0
}

const users = [
  { who: isRoot ? 'root' : 'whoever runs this', uid: undefined },
  ...(isRoot && letsOthers() ? [{ who: 'an ordinary user', uid: NOBODY }] : []),
]

describe.skipIf(!toolchain.bwrap).each(users)('Hostile LaTeX, compiled by $who,', ({ uid }) => {
  let folder: string
  let outside: string
  let temporary: string
  let listener: Server
  let connections = 0
  let before: string[]
  let tried: Map<string, Tried>

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pass-ats-attack-'))
    await chmod(folder, 0o755)
    ;[outside, temporary] = (await Promise.all(
      ['outside', 'temporary'].map(async (name) => {
        const path = join(folder, name)
        await mkdir(path)
        if (uid !== undefined) await chown(path, uid, uid)
        return path
      }),
    )) as [string, string]
    await putSecrets(outside, uid)
    before = await contents(outside)
    listener = createServer((socket) => {
      connections++
      socket.destroy()
    }).listen(0, '127.0.0.1')
    await once(listener, 'listening')
    const target = { outside, port: (listener.address() as AddressInfo).port }
    const used = uid === undefined ? toolchain : await handedOver(toolchain, join(folder, 'toolchain'))
    const runner = spawn(process.execPath, [RUNNER], {
      ...(uid !== undefined && { uid, gid: uid }),
      cwd: '/',
      env: { PATH: process.env.PATH, TMPDIR: temporary },
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    runner.stdin.end(JSON.stringify({ toolchain: used, target }))
    const told = JSON.parse(await text(runner.stdout)) as Tried[]
    tried = new Map(told.map((each) => [each.name, each]))
  }, 180_000)

  afterAll(async () => {
    listener?.close()
    await rm(folder, { recursive: true, force: true })
  })

  it.each(attacks({ outside: '', port: 0 }).map(({ name, ends }) => ({ name, ends })))(
    'contains $name, and says what came of it',
    async ({ name, ends }) => {
      const { code, detail, log, pdf } = tried.get(name) as Tried
      expect(ends).toContain(code)
      expect(`${detail} ${log}`).not.toMatch(new RegExp(`${SECRET}|root:`))
      if (pdf) expect(await everythingIn(pdf)).not.toMatch(new RegExp(`${SECRET}|root:`))
    },
  )

  it('has changed nothing outside, and left nothing behind', async () => {
    expect(await contents(outside)).toEqual(before)
    expect(await readdir(temporary)).toEqual([])
    expect(await readdir('/dev/shm').catch(() => [])).not.toContain('pass-ats-new.txt')
    const { stdout } = await promisify(execFile)('ps', ['-eo', 'args='])
    expect(stdout).not.toContain(temporary)
  })

  it('has reached nobody', () => {
    expect(connections).toBe(0)
  })

  it('has been tried in full', () => {
    expect([...tried.keys()].sort()).toEqual(
      attacks({ outside: '', port: 0 })
        .map(({ name }) => name)
        .sort(),
    )
  })
})

/** A secret in every form that TeX reads. */
async function putSecrets(folder: string, uid: number | undefined): Promise<void> {
  const bundle = toolchain.bundle ?? ''
  await writeFile(join(folder, 'secret.txt'), `${SECRET}\n`)
  await copyFile(join(bundle, 'lmroman10-regular.otf'), join(folder, 'secret.otf'))
  await copyFile(join(bundle, 'cmr10.tfm'), join(folder, 'secret.tfm'))
  await writeFile(join(folder, 'secret.png'), Buffer.from(PNG, 'base64'))
  await writeFile(join(folder, 'secret.pdf'), PDF)
  if (uid !== undefined) await Promise.all((await readdir(folder)).map((name) => chown(join(folder, name), uid, uid)))
}

const PNG = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=='
const PDF = `%PDF-1.4
1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj
2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj
3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]/Title(${SECRET})>>endobj
trailer<</Root 1 0 R>>
`

async function contents(folder: string): Promise<string[]> {
  const names = (await readdir(folder)).sort()
  return Promise.all(names.map(async (name) => `${name} ${(await readFile(join(folder, name))).toString('base64')}`))
}

/** The toolchain where another user may read it: it is made in a folder of ours. */
async function handedOver(own: Toolchain, into: string): Promise<Toolchain> {
  const share = async (from: string, name: string) => {
    const to = join(into, name)
    await mkdir(to, { recursive: true })
    for (const entry of await readdir(from, { withFileTypes: true })) {
      const [source, target] = [join(from, entry.name), join(to, entry.name)]
      if (entry.isDirectory()) await share(source, join(name, entry.name))
      else if (entry.name.endsWith('.fmt')) await copyFile(source, target).then(() => chmod(target, 0o644))
      else await link(source, target).catch(() => copyFile(source, target))
    }
    return to
  }
  const { loader, bundle, texCache } = own
  if (!loader || !bundle) throw new Error('A toolchain with a sandbox has both.')
  const runtime = await share(loader.libraryPath, 'runtime')
  return {
    ...own,
    tectonic: join(runtime, 'tectonic'),
    loader: { ldso: join(runtime, 'ld-linux-x86-64.so.2'), libraryPath: runtime },
    bundle: await share(bundle, 'bundle'),
    texCache: await share(texCache, 'cache'),
  }
}

/** The bytes of a PDF, those of its packed streams, and its text as a reader has it. */
async function everythingIn(base64: string): Promise<string> {
  const pdf = Buffer.from(base64, 'base64')
  const raw = pdf.toString('latin1')
  const streams = [...raw.matchAll(/stream\r?\n([\s\S]*?)\r?\nendstream/g)].map(([, packed = '']) => {
    try {
      return inflateSync(Buffer.from(packed, 'latin1')).toString('latin1')
    } catch {
      return ''
    }
  })
  const folder = await mkdtemp(join(tmpdir(), 'pass-ats-text-'))
  try {
    await writeFile(join(folder, 'a.pdf'), pdf)
    const { stdout } = await promisify(execFile)('pdftotext', [join(folder, 'a.pdf'), '-'])
    return [raw, ...streams, stdout].join('\n')
  } finally {
    await rm(folder, { recursive: true })
  }
}

import { spawnSync } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { openDatabase } from '../server/database.ts'
import { SqliteOutbox } from '../server/webhooks/sqlite-outbox.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const ENDPOINT = 'https://hook.example/token'

function ask(distDir: string, ...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['ops/server.ts', 'webhooks', ...args], {
    cwd: ROOT,
    env: { DIST_DIR: distDir },
    encoding: 'utf8',
  })
  return { status, stdout, stderr }
}

test('dead letters are listed, shown, replayed and dropped, and a disabled endpoint is enabled, beside an open database', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'pass-ats-server-'))
  expect(ask(folder)).toMatchObject({ status: 1, stderr: expect.stringContaining(folder) })
  const db = openDatabase(folder)
  try {
    const outbox = new SqliteOutbox(db)
    expect(ask(folder).stdout).toBe('No dead letters.\n0 waiting.\n')
    const bury = (id: string) => {
      outbox.add({ id, body: '{"type":"run.failed"}', run: 'r', span: '' }, [ENDPOINT], 1_000)
      const [delivery] = outbox.due(2_000, 1, 0)
      if (delivery) outbox.dead(delivery, '500')
    }
    bury('msg_1')
    bury('msg_2')
    const { stdout } = ask(folder)
    expect(stdout).toBe(
      [1, 2].map((n) => `msg_${n}  1970-01-01T00:00:01.000Z  1 attempts  hook.example  500\n`).join('') +
        '0 waiting.\n',
    )
    expect(JSON.parse(ask(folder, 'show', 'msg_1').stdout)).toEqual({ type: 'run.failed' })
    expect(ask(folder, 'replay', 'msg_1')).toMatchObject({ status: 0, stdout: '1 waiting again.\n' })
    expect(outbox.due(Date.now(), 9, 0)).toMatchObject([{ id: 'msg_1', attempts: 0 }])
    expect(ask(folder, 'drop', 'msg_1')).toMatchObject({ status: 1 })
    expect(ask(folder, 'drop', 'all')).toMatchObject({ status: 0, stdout: '1 dropped.\n' })
    outbox.disable(ENDPOINT, 1_000, '410')
    expect(ask(folder).stdout).toContain(`Disabled since 1970-01-01T00:00:01.000Z: ${ENDPOINT}`)
    expect(ask(folder, 'enable', ENDPOINT)).toMatchObject({ status: 0 })
    expect(outbox.disabled()).toEqual([])
    expect(ask(folder, 'nonsense', 'x')).toMatchObject({ status: 2, stderr: expect.stringContaining('Usage') })
  } finally {
    db.close()
    await rm(folder, { recursive: true })
  }
})

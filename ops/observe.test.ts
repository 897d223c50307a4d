import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { expect, it, onTestFinished } from 'vitest'
import { playTraffic } from './alerts/played-traffic.ts'

it('npm run observe watches what runs, serves the runbooks, and leaves nothing running after Ctrl-C', async () => {
  const service = await playTraffic('pass-ats-relay', { pass_sse_connections: 3 })
  onTestFinished(() => service.close())
  service.play({ pass_sse_connections: 3 })
  const data = await mkdtemp(join(tmpdir(), 'pass-ats-observe-'))
  onTestFinished(() => rm(data, { recursive: true, force: true }))
  const any = '127.0.0.1:0'
  const args = [
    '--prometheus',
    any,
    '--alertmanager',
    any,
    '--desk',
    '0',
    '--synthetics',
    '127.0.0.1:1',
    '--data',
    data,
  ]
  const child = spawn(
    process.execPath,
    ['ops/observe.ts', ...args, '--relay', service.target.address, '--server', service.target.address],
    { cwd: fileURLToPath(new URL('..', import.meta.url)), stdio: ['ignore', 'pipe', 'inherit'] },
  )
  const exited = once(child, 'exit')
  // Not SIGKILL: it would leave the two daemons behind.
  onTestFinished(async () => {
    child.kill('SIGTERM')
    await exited
  })
  let said = ''
  for await (const line of createInterface(child.stdout)) {
    said += `${line}\n`
    if (line.includes('Ready.')) break
  }
  const [, prometheus = ''] = /What fires +(http:\/\/[^/]+)/.exec(said) ?? []
  const [, alertmanager = ''] = /and (http:\/\/[^/]+)\/api/.exec(said) ?? []
  const [, runbook = ''] = /Runbooks +(\S+)/.exec(said) ?? []
  expect(said.match(/ answers$/gm)).toHaveLength(2)

  const rules = (await (await fetch(`${prometheus}/api/v1/rules?type=alert`)).json()) as {
    data: { groups: { rules: object[] }[] }
  }
  expect(rules.data.groups.flatMap(({ rules }) => rules).length).toBeGreaterThan(30)
  // It looks for its targets five seconds after it has started.
  const up = async () => {
    const answer = await fetch(`${prometheus}/api/v1/query?query=up==1`)
    const { data } = (await answer.json()) as { data: { result: { metric: { job: string } }[] } }
    return data.result.map(({ metric }) => metric.job).sort()
  }
  await expect.poll(up, { interval: 500 }).toEqual(['pass-ats-relay', 'pass-ats-server'])
  expect((await fetch(`${alertmanager}/-/ready`)).status).toBe(200)
  expect((await fetch(runbook)).status).toBe(200)

  child.kill('SIGINT')
  expect((await exited)[0]).toBe(130)
  for (const url of [prometheus, alertmanager, runbook]) await expect(fetch(url)).rejects.toThrow()
})

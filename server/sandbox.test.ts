import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readToolchain } from '../ops/setup/toolchain.ts'
import { inputFolder, type Job, outputFolder, tectonicCommand } from './sandbox.ts'
import { runToEnd } from './tectonic-process.ts'

const toolchain = await readToolchain()
const BASH = ['--ro-bind', '/usr', '/usr', '--symlink', 'usr/lib', '/lib', '--symlink', 'usr/lib64', '/lib64']

// Whoever makes Tectonic run code of theirs has what a shell has that is started in its place.
describe.skipIf(!toolchain.bwrap)('Code that is not Tectonic’s, in its place,', () => {
  let job: Job
  beforeAll(async () => {
    job = { folder: await mkdtemp(join(tmpdir(), 'pass-ats-sandbox-')), main: 'main.tex' }
    await Promise.all([mkdir(inputFolder(job)), mkdir(outputFolder(job))])
    await writeFile(join(inputFolder(job), job.main), 'x')
    await writeFile(join(outputFolder(job), 'main.pdf'), '')
  })
  afterAll(() => rm(job.folder, { recursive: true }))

  async function inside(script: string) {
    const command = tectonicCommand(toolchain, job)
    const shown = command.args.indexOf('--remount-ro')
    const program = command.args.lastIndexOf('--')
    const args = [
      ...command.args.slice(0, shown),
      ...BASH,
      ...command.args.slice(shown, program + 1),
      ...['/usr/bin/bash', '-c', script],
    ]
    return runToEnd({ ...command, args }, { cwd: job.folder, timeoutMs: 5_000 })
  }

  it('runs, and sees its own files', async () => {
    const { stdout, code } = await inside('printf "%s " /*; read -r line < /in/main.tex; echo "$line"')
    expect({ stdout, code }).toMatchObject({ code: 0, stdout: '/bundle /cache /in /lib /lib64 /out /rt /sys /usr x\n' })
  })

  it('starts no other process', async () => {
    for (const script of [
      '/usr/bin/true & echo forked',
      '(echo forked)',
      'x=$(echo forked); echo $x',
      ':(){ :|:& };:; echo forked',
    ]) {
      expect((await inside(script)).stdout).toBe('')
    }
  })

  it('reaches no address, not even one that listens', async () => {
    let connections = 0
    const listener = createServer(() => connections++).listen(0, '127.0.0.1')
    await once(listener, 'listening')
    const { port } = listener.address() as AddressInfo
    try {
      const { stdout, stderr } = await inside(`exec 5<>/dev/tcp/127.0.0.1/${port} && echo connected`)
      expect(stdout).toBe('')
      expect(stderr).toMatch(/Operation not permitted/)
      expect(connections).toBe(0)
    } finally {
      listener.close()
    }
  })

  it('writes the PDF and into memory, and nowhere else', async () => {
    const places = [
      '/x',
      '/in/x',
      '/in/main.tex',
      '/bundle/x',
      '/cache/x',
      '/rt/x',
      '/out/x',
      '/out/main.pdf',
      '/dev/x',
      '/proc/x',
    ]
    const { stdout } = await inside(`for path in ${places.join(' ')}; do { echo x > $path; } 2>&- && echo $path; done`)
    expect(stdout.trim().split('\n')).toEqual(['/out/x', '/out/main.pdf'])
    expect(await readdir(outputFolder(job))).toEqual(['main.pdf'])
  })

  it('knows nothing of this machine’s processes, devices or settings', async () => {
    const { stdout } = await inside('echo /proc/* /dev/* /home/* /root/* /etc/*; echo $$; export -p')
    const [files, pid, ...settings] = stdout.trim().split('\n')
    expect(files).toBe('/proc/* /dev/* /home/* /root/* /etc/*')
    expect(pid).toBe('1')
    const names = settings.map((line) => /declare -x (\w+)/.exec(line)?.[1])
    expect(names.sort()).toEqual([
      'GLIBC_TUNABLES',
      'HOME',
      'OLDPWD',
      'PWD',
      'SHLVL',
      'SOURCE_DATE_EPOCH',
      'TECTONIC_CACHE_DIR',
    ])
  })

  it('gets no more memory, files or room than it may', async () => {
    expect((await inside('x=x; while :; do x=$x$x; done; echo more')).stdout).toBe('')
    expect(
      (await inside('for ((n = 5; n < 300; n++)); do eval "exec $n</in/main.tex" || break; done; echo $n')).stdout,
    ).toMatch(/^2\d\d\n$/)
    const room = 'printf -v x %1000000s x; n=0; while echo "$x" 2>&- > /out/$n; do n=$((n + 1)); done; echo $n'
    const megabytes = Number((await inside(room)).stdout)
    expect(megabytes).toBeGreaterThan(30)
    expect(megabytes).toBeLessThan(34)
  })
})

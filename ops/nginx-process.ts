/** A real nginx before relays and servers, with the configuration that `ops/deploy/nginx` has for it. */

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { closeOnSignal } from './closing.ts'
import { freePort } from './free-port.ts'
import { killGroup } from './process-group.ts'
import { nginxProgram } from './setup/nginx.ts'

const TEMPLATE = new URL('deploy/nginx/pass-ats.conf.template', import.meta.url)
/** Somebody else may take a port between its choice and its use. */
const TRIES = 5

/** Addresses as `http://host:port`. Whoever has one of a kind only gives it twice. */
export interface Behind {
  relays: readonly [string, string]
  servers: readonly [string, string]
}

export interface NginxProcess {
  /** In front of the relays. */
  url: string
  /** In front of the servers: their SERVER_URL. */
  serversUrl: string
  /** Of the first process; the others are its children. */
  pid(): number
  /** Its log of what went wrong. */
  said(): readonly string[]
  /** Ends all of it at once, as `kill -9` does; and starts it again, at the same ports. */
  kill(): Promise<void>
  start(): Promise<void>
  /** Ends it, and removes its folder. */
  stop(): Promise<void>
}

/** Ports for one, before there are relays and servers: each must know the other's. */
export interface NginxPorts {
  front: number
  servers: number
}

export async function nginxPorts(): Promise<NginxPorts> {
  return { front: await freePort(), servers: await freePort() }
}

/**
 * Starts one on the loopback, at `ports` or, without them, at free ones; resolves when it listens. Throws an Error with its
 * last words when it does not come up, and SetupError when there is none.
 */
export async function startNginx(behind: Behind, ports?: NginxPorts): Promise<NginxProcess> {
  for (let tries = 1; ; tries++) {
    const started = await launch(behind, ports ?? (await nginxPorts())).catch((error) => {
      if (ports || tries === TRIES || !String(error).includes('bind()')) throw error
    })
    if (started) return started
  }
}

/** The template as nginx's container images fill it in: what is set in the environment, and nothing else. */
function filledIn(template: string, env: Record<string, string>): string {
  return template.replace(/\$\{(\w+)\}/g, (whole, name) => env[name] ?? whole)
}

async function launch({ relays, servers }: Behind, ports: NginxPorts): Promise<NginxProcess> {
  const program = await nginxProgram()
  const folder = await mkdtemp(join(tmpdir(), 'pass-ats-nginx-'))
  const remove = () => rm(folder, { recursive: true, force: true })
  const hostOf = (url: string) => new URL(url).host
  const configuration = filledIn(await readFile(TEMPLATE, 'utf8'), {
    ...{ FRONT_LISTEN: `127.0.0.1:${ports.front}`, SERVERS_LISTEN: `127.0.0.1:${ports.servers}` },
    ...{ RELAY_1: hostOf(relays[0]), RELAY_2: hostOf(relays[1]) },
    ...{ SERVER_1: hostOf(servers[0]), SERVER_2: hostOf(servers[1]) },
  })
  await writeFile(join(folder, 'pass-ats.conf'), configuration)
  await writeFile(join(folder, 'nginx.conf'), around(folder))
  await mkdir(join(folder, 'temporary'))
  const said: string[] = []
  const begin = async (): Promise<ChildProcess> => {
    const child = spawn(program, ['-e', 'stderr', '-p', folder, '-c', join(folder, 'nginx.conf')], {
      stdio: ['ignore', 'ignore', 'pipe'],
      // A terminal's Ctrl-C goes to the whole group; this one is ended by whoever started it.
      detached: true,
    })
    const gone = once(child, 'close')
    const ready = new Promise<true>((resolve) => {
      createInterface(child.stderr).on('line', (line) => {
        // It has bound its ports before it starts those who work.
        if (line.includes('start worker process ')) resolve(true)
        if (!line.includes('[notice]')) said.push(line)
      })
    })
    if ((await Promise.race([ready, gone])) === true) return child
    throw new Error(`nginx did not start.\n${said.slice(-5).join('\n')}`)
  }
  let child = await begin().catch(async (error) => {
    await remove()
    throw error
  })
  const end = async (how: (child: ChildProcess) => unknown) => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const gone = once(child, 'close')
    how(child)
    await gone
  }
  const stop = async () => {
    forget()
    await end((child) => child.kill('SIGTERM'))
    await remove()
  }
  const forget = closeOnSignal(stop)
  return {
    url: `http://127.0.0.1:${ports.front}`,
    serversUrl: `http://127.0.0.1:${ports.servers}`,
    pid: () => child.pid ?? 0,
    said: () => said,
    // Those who work go on when only the first process dies.
    kill: () => end(killGroup),
    start: async () => {
      child = await begin()
    },
    stop,
  }
}

/** What nginx's images have around the template, with everything it writes in one folder. */
function around(folder: string): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `  ${name}_temp_path ${join(folder, 'temporary', name)};`,
  )
  return `daemon off;
worker_processes 2;
error_log stderr notice;
pid ${join(folder, 'nginx.pid')};
events { worker_connections 4096; }
http {
${temporary.join('\n')}
  include ${join(folder, 'pass-ats.conf')};
}
`
}

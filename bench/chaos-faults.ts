/** What can go wrong, each as something that happens to a {@link Ground} and is over after a while, by itself. */

import { execFileSync } from 'node:child_process'
import { closeSync, openSync, readdirSync, readFileSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { TAKEN, type Treatment } from '../fixtures/relay/backend.ts'
import { launchBrowser } from '../ops/browser.ts'
import { type Death, die } from '../ops/survivor.ts'
import type { Ground } from './chaos-ground.ts'

export interface Chaos {
  name: string
  /** Why it cannot be made here. */
  impossible?: (ground: Ground) => string | undefined
  begin(ground: Ground): unknown
  end(ground: Ground): unknown
  /** It destroys what was stored, so that what matters is whether somebody says so. */
  destroys?: boolean
}

/** More than the head of a message, less than the whole of it. */
const MIDDLE = {
  'browser to relay': 700,
  'relay to server': 700,
  'server to relay': 700,
  'server to model': 1_500,
  'relay to backend': 300,
}
const CUT_EVERY_MS = 400
const LOOK_EVERY_MS = 5
const DAMAGE_BYTES = 4_096
const NO_DISK = 'no right to mount a disk that could be filled'

export const CHAOS: readonly Chaos[] = [
  backendThat(
    'is not there',
    (g) => g.wires['relay to backend'].close(),
    (g) => g.wires['relay to backend'].reopen(),
  ),
  backendThat('says nothing', treatedAs('silence'), treatedAs(undefined)),
  backendThat('answers with 500', treatedAs({ status: 500 }), treatedAs(undefined)),
  { name: 'relay killed', begin: ({ stack }) => stack.killRelay(), end: ({ stack }) => stack.restartRelay() },
  { name: 'server killed', begin: ({ stack }) => stack.killServer(), end: ({ stack }) => stack.restartServer() },
  ...(['worker stop', 'process kill', 'browser kill', 'extension update'] as const).map(deathBy),
  diskFull('store', 'the relay\u2019s store'),
  diskFull('dist', 'dist/'),
  damaged('the relay\u2019s newest hour, while it runs', ({ folders }) => newestHour(folders.store)),
  damaged('the relay\u2019s newest hour, while it is down', ({ folders }) => newestHour(folders.store), 'Relay'),
  damaged(
    'the server\u2019s database, while it is down',
    ({ folders }) => join(folders.dist, 'server.sqlite'),
    'Server',
  ),
  {
    name: 'model stalled',
    begin: ({ model }) => {
      model.behaviour = 'stalled'
    },
    end: ({ model }) => {
      model.behaviour = 'ok'
    },
  },
  tectonicHung(),
  ...clockJumps(),
  ...(Object.keys(MIDDLE) as (keyof Ground['wires'])[]).map(cut),
  outOfHandles('relay'),
  outOfHandles('server'),
]

function backendThat(what: string, begin: Chaos['begin'], end: Chaos['end']): Chaos {
  return { name: `telemetry backend ${what}`, begin, end }
}

function treatedAs(answer: Treatment['answer'] | undefined): Chaos['begin'] {
  return ({ backend }) => backend.treatAs(() => (answer ? { taken: false, answer } : TAKEN))
}

function deathBy(death: Death): Chaos {
  return {
    name: `the extension\u2019s ${death}`,
    begin: async (ground) => {
      ground.browser = await die(ground.browser, death, (profile) => launchBrowser(ground.chromium, profile))
    },
    end: () => {},
  }
}

/** With a file that takes what is left, to the last block. */
function diskFull(which: keyof Ground['folders'], name: string): Chaos {
  const path = ({ folders }: Ground) => join(folders[which], 'filler')
  return {
    name: `disk full: ${name}`,
    impossible: ({ disks }) => (disks ? undefined : NO_DISK),
    begin: (ground) => {
      const file = openSync(path(ground), 'w')
      try {
        for (let size = 1024 ** 2; size >= 512; ) {
          try {
            writeSync(file, Buffer.alloc(size, 1))
          } catch {
            size /= 2
          }
        }
      } finally {
        closeSync(file)
      }
    },
    end: (ground) => rmSync(path(ground)),
  }
}

/** Its first page, which says what the others are, becomes noise. */
function damaged(what: string, pathIn: (ground: Ground) => string, of?: 'Relay' | 'Server'): Chaos {
  const damage = (ground: Ground) => {
    const file = openSync(pathIn(ground), 'r+')
    writeSync(file, crypto.getRandomValues(new Uint8Array(DAMAGE_BYTES)), 0, DAMAGE_BYTES, 0)
    closeSync(file)
  }
  return {
    name: `SQLite damaged: ${what}`,
    destroys: true,
    begin: async (ground) => {
      if (of) await ground.stack[`kill${of}`]()
      damage(ground)
    },
    end: async ({ stack }) => {
      if (of) await stack[`restart${of}`]()
    },
  }
}

function newestHour(folder: string): string {
  const hours = readdirSync(folder).filter((name) => /^\d+-.*\.sqlite$/.test(name))
  return join(folder, hours.sort().at(-1) ?? '')
}

/**
 * Every one that the server starts is stopped, as a process is that waits for a disk which is gone. Not before it is
 * Tectonic: a process that starts another waits, in its one thread, for that to become what it was started as.
 */
function tectonicHung(): Chaos {
  let timer: ReturnType<typeof setInterval> | undefined
  return {
    name: 'Tectonic hung',
    begin: ({ stack }) => {
      timer = setInterval(() => {
        for (const pid of descendantsOf(stack.server.pid ?? 0)) {
          try {
            if (isTectonic(pid)) process.kill(pid, 'SIGSTOP')
          } catch {
            // It has ended by itself.
          }
        }
      }, LOOK_EVERY_MS)
    },
    end: () => clearInterval(timer),
  }
}

/** By its command line, which that of the sandbox around it has, too. */
function isTectonic(pid: number): boolean {
  const of = (name: string) => readFileSync(`/proc/${pid}/${name}`, 'utf8')
  return of('comm').trim() !== 'bwrap' && of('cmdline').includes('tectonic')
}

function descendantsOf(pid: number): number[] {
  try {
    const tasks = readdirSync(`/proc/${pid}/task`)
    const children = tasks.flatMap((task) =>
      readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').split(' ').filter(Boolean).map(Number),
    )
    return children.flatMap((child) => [child, ...descendantsOf(child)])
  } catch {
    return []
  }
}

/** What a process knows of the time, and no other does. */
function clockJumps(): Chaos[] {
  const of = (who: 'relay' | 'server', by: number, how: string): Chaos => ({
    name: `clock of the ${who} ${how}`,
    begin: ({ stack }) => stack[who].send({ type: 'hour', by }),
    end: ({ stack }) => stack[who].send({ type: 'hour', by: -by }),
  })
  const ofWorker = (hours: number, how: string): Chaos => {
    const shift = async ({ browser }: Ground, hours: number) => {
      const worker = browser.context.serviceWorkers().at(-1)
      await worker?.evaluate((ms) => {
        const now = Date.now
        Date.now = () => now() + ms
      }, hours * 3_600_000)
    }
    return {
      name: `clock of the extension ${how}`,
      begin: (ground) => shift(ground, hours),
      end: (ground) => shift(ground, -hours),
    }
  }
  return [
    of('relay', 2, 'two hours forward, and back'),
    of('relay', -2, 'two hours back, and forward'),
    of('server', 2, 'two hours forward, and back'),
    of('server', -2, 'two hours back, and forward'),
    ofWorker(2, 'two hours forward, and back'),
    ofWorker(-2, 'two hours back, and forward'),
  ]
}

/** Again and again, each time in the middle of a message. */
function cut(between: keyof Ground['wires']): Chaos {
  let timer: ReturnType<typeof setInterval> | undefined
  return {
    name: `network cut in a message: ${between}`,
    begin: ({ wires }) => {
      wires[between].breakAfter(MIDDLE[between])
      timer = setInterval(() => wires[between].breakAfter(MIDDLE[between]), CUT_EVERY_MS)
    },
    end: ({ wires }) => {
      clearInterval(timer)
      wires[between].breakAfter(Number.POSITIVE_INFINITY)
    },
  }
}

function outOfHandles(who: 'relay' | 'server'): Chaos {
  let before = ''
  const limit = (pid: number | undefined, soft: string) =>
    execFileSync('prlimit', ['--pid', String(pid), `--nofile=${soft}:`])
  return {
    name: `${who} out of file descriptors`,
    begin: ({ stack }) => {
      const { pid } = stack[who]
      before = /^Max open files\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/limits`, 'utf8'))?.[1] ?? '1024'
      // What is open stays open; there is no next one.
      limit(pid, '3')
    },
    end: ({ stack }) => limit(stack[who].pid, before),
  }
}

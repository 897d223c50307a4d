/**
 * A cell of servers in several zones, simulated event by event: a line of runs, servers that take the next one when they have
 * a place, a model that takes its time, cores that compile; and a zone that is gone for a while, whose runs the others find.
 */

import { normal } from './demand.ts'

export interface Fleet {
  zones: number
  serversPerZone: number
  /** Runs that one server works on at once, and how many of them compile. */
  places: number
  cores: number
  /** A run's time with the model, milliseconds: median, and σ of a log-normal distribution. */
  modelMs: number
  modelSpread: number
  /** A core's time of one run, milliseconds. */
  cpuMs: number
  /** Runs under way at most, of all servers; who comes then is refused. */
  mostOpen: number
  /** Until the runs of a server that is gone are found. */
  foundAfterMs: readonly [number, number]
}

export interface Outage {
  atMs: number
  forMs: number
}

export interface Simulated {
  runs: number
  refused: number
  takenOver: number
  mostOpen: number
  /** What a run took beyond its own time with the model and on a core, milliseconds. */
  waitMs: { p50: number; p99: number; most: number }
  /** Of the cores that were there, while runs came. */
  busy: number
}

interface Run {
  arrivedAt: number
  /** Of its attempt that came to an end: what it took by itself. */
  ownMs: number
  server?: Server | undefined
}
interface Server {
  zone: number
  up: boolean
  /** Raised with each death: what was to happen before does not. */
  life: number
  taken: Set<Run>
  compiling: number
  waiting: Run[]
}

/** `arrivals` in milliseconds, in order; the first zone is the one that goes. */
export function simulate(fleet: Fleet, arrivals: readonly number[], random: () => number, outage?: Outage): Simulated {
  const agenda = new Agenda()
  const servers: Server[] = Array.from({ length: fleet.zones * fleet.serversPerZone }, (_, index) => ({
    ...{ zone: index % fleet.zones, up: true, life: 0 },
    ...{ taken: new Set<Run>(), compiling: 0, waiting: [] },
  }))
  const line: Run[] = []
  const waits: number[] = []
  let [open, mostOpen, refused, takenOver, coreMs] = [0, 0, 0, 0, 0]

  const takeNext = () => {
    while (line.length > 0) {
      const free = servers.filter(({ up, taken }) => up && taken.size < fleet.places)
      const least = free.reduce<Server | undefined>((a, b) => (a && a.taken.size <= b.taken.size ? a : b), undefined)
      const run = least && line.shift()
      if (!run) return
      least.taken.add(run)
      run.server = least
      const talks = fleet.modelMs * Math.exp(fleet.modelSpread * normal(random))
      run.ownMs = talks + fleet.cpuMs
      const { life } = least
      agenda.at(agenda.now + talks, () => {
        if (least.life !== life) return
        least.waiting.push(run)
        compileNext(least)
      })
    }
  }
  const compileNext = (server: Server) => {
    while (server.compiling < fleet.cores) {
      const run = server.waiting.shift()
      if (!run) return
      server.compiling += 1
      coreMs += fleet.cpuMs
      const { life } = server
      agenda.at(agenda.now + fleet.cpuMs, () => {
        if (server.life !== life) return
        server.compiling -= 1
        server.taken.delete(run)
        open -= 1
        waits.push(Math.max(0, agenda.now - run.arrivedAt - run.ownMs))
        compileNext(server)
        takeNext()
      })
    }
  }

  for (const at of arrivals) {
    agenda.at(at, () => {
      if (open >= fleet.mostOpen) {
        refused += 1
        return
      }
      open += 1
      mostOpen = Math.max(mostOpen, open)
      line.push({ arrivedAt: agenda.now, ownMs: 0 })
      takeNext()
    })
  }
  if (outage) {
    const gone = servers.filter(({ zone }) => zone === 0)
    const [soonest, latest] = fleet.foundAfterMs
    agenda.at(outage.atMs, () => {
      for (const server of gone) {
        const lost = [...server.taken]
        Object.assign(server, { up: false, life: server.life + 1, compiling: 0, waiting: [], taken: new Set() })
        takenOver += lost.length
        for (const run of lost) {
          agenda.at(agenda.now + soonest + random() * (latest - soonest), () => {
            // Those that were taken before go before those that have only come since.
            line.unshift(run)
            takeNext()
          })
        }
      }
    })
    agenda.at(outage.atMs + outage.forMs, () => {
      for (const server of gone) server.up = true
      takeNext()
    })
  }
  agenda.play()

  const sorted = waits.sort((a, b) => a - b)
  const quantile = (q: number) => Math.round(sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? 0)
  const spanMs = (arrivals.at(-1) ?? 0) - (arrivals[0] ?? 0)
  const there = servers.length - (outage ? (fleet.serversPerZone * Math.min(outage.forMs, spanMs)) / spanMs : 0)
  return {
    ...{ runs: waits.length, refused, takenOver, mostOpen },
    waitMs: { p50: quantile(0.5), p99: quantile(0.99), most: quantile(1) },
    busy: coreMs / (spanMs * there * fleet.cores),
  }
}

/** What is to happen, by when: a heap. */
class Agenda {
  now = 0
  readonly #heap: { at: number; order: number; act: () => void }[] = []
  #order = 0

  at(at: number, act: () => void): void {
    this.#order += 1
    this.#heap.push({ at, order: this.#order, act })
    let child = this.#heap.length - 1
    while (child > 0) {
      const parent = (child - 1) >> 1
      if (!this.#isBefore(child, parent)) return
      this.#swap(child, parent)
      child = parent
    }
  }

  play(): void {
    for (let next = this.#shift(); next; next = this.#shift()) {
      this.now = next.at
      next.act()
    }
  }

  #shift() {
    const [first] = this.#heap
    const last = this.#heap.pop()
    if (!first || !last || this.#heap.length === 0) return first
    this.#heap[0] = last
    for (let parent = 0; ; ) {
      const [left, right] = [2 * parent + 1, 2 * parent + 2]
      let least = parent
      if (left < this.#heap.length && this.#isBefore(left, least)) least = left
      if (right < this.#heap.length && this.#isBefore(right, least)) least = right
      if (least === parent) return first
      this.#swap(parent, least)
      parent = least
    }
  }

  #isBefore(one: number, other: number): boolean {
    const [a, b] = [this.#heap[one], this.#heap[other]]
    if (!a || !b) return false
    return a.at < b.at || (a.at === b.at && a.order < b.order)
  }

  #swap(one: number, other: number): void {
    const [a, b] = [this.#heap[one], this.#heap[other]]
    if (!a || !b) return
    this.#heap[one] = b
    this.#heap[other] = a
  }
}

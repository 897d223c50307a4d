/** What has still to be sent, and what could not be: kept where it outlives the server that put it there. */

/** Messages that wait at most; the oldest becomes a dead letter for the newest. */
export const MAX_WAITING = 10_000
/** Dead letters at most; the oldest goes. */
export const MAX_DEAD = 1_000

export interface Delivery {
  /** The same at every attempt and for every endpoint. */
  id: string
  endpoint: string
  body: string
  /** The run that it tells of, and the span that waited for it, '' where it is not known. */
  run: string
  span: string
  createdAt: number
  attempts: number
  /** Of the last failed attempt, a code. */
  reason: string
}
export type Message = Pick<Delivery, 'id' | 'body' | 'run' | 'span'>

type Awaitable<T> = T | Promise<T>

/** Messages get in with the end of the run that they tell of, which is the matter of whoever keeps runs. Times are epoch milliseconds. */
export interface Outbox {
  /**
   * Those whose time has come, oldest first: as many as there is `room` for, and those among which are `underWay`, where
   * they are not taken out of it while somebody sends them.
   */
  due(now: number, room: number, underWay: number): Awaitable<Delivery[]>
  /** When the next one is due after this; undefined when nothing is. */
  nextDueAfter(now: number): Awaitable<number | undefined>
  /** When the oldest came that waits; undefined when none does. */
  oldestWaiting(): Awaitable<number | undefined>
  taken(delivery: Delivery): Awaitable<void>
  /** Tried again at `dueAt`, unless it is dead meanwhile; with `holdUntil` nothing else goes to the endpoint before. */
  again(delivery: Delivery, reason: string, dueAt: number, holdUntil?: number): Awaitable<void>
  /** Returns how many older dead letters are lost for it. */
  dead(delivery: Delivery, reason: string): Awaitable<number>
  /** Sends nothing to the endpoint any more: what waits for it is dead. */
  disable(endpoint: string, now: number, reason: string): Awaitable<void>
  /** What waits for endpoints that are not in the list is dead. */
  keepOnly(endpoints: readonly string[]): Awaitable<void>

  // What a person does, also beside a running server.

  /** Dead letters, oldest first. */
  deadLetters(): Awaitable<Delivery[]>
  waiting(): Awaitable<number>
  disabled(): Awaitable<{ url: string; disabledAt: number }[]>
  /** Begins the schedule anew for dead letters of this ID, or for all. Returns how many. */
  replay(id: string | 'all', now: number): Awaitable<number>
  drop(id: string | 'all'): Awaitable<number>
  /** Returns whether it was disabled. */
  enable(endpoint: string): Awaitable<boolean>
}

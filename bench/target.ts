/** What a bench claims, held against what it must not exceed. */

import type { Target } from './bench.ts'

export function atMost(claim: string, value: number, limit: number): Target {
  return { claim, value, limit, ok: value <= limit }
}

/** Of what must not happen at all: `count` of it. */
export function none(claim: string, count: number): Target {
  return atMost(claim, count, 0)
}

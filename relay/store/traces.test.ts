import { describe } from 'vitest'
import { TERMS, temporaryPath, temporaryStore } from '../sample-run.ts'
import { keepsTraces } from './traces-duties.ts'

const DAY_MS = 86_400_000

describe('The store in files', () => {
  keepsTraces(async () => {
    const path = temporaryPath()
    let at = Date.now()
    const now = () => {
      at += 1
      return at
    }
    const store = temporaryStore(path, now, TERMS)
    return {
      traces: store,
      now,
      async passWindow() {
        at += DAY_MS + 2 * 3_600_000
        await store.tend()
      },
      breakDown: () => store.close(),
    }
  })
})

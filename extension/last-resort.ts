/**
 * Readability, for the few pages on which nothing else finds a posting: background injects it there, after content.ts,
 * so that all others need not carry it. Extensions' scripts share a world of their own, which the page cannot see.
 */

import { LAST_RESORT } from './extract/posting.ts'
import { readability } from './extract/readability.ts'

Object.assign(globalThis, { [LAST_RESORT]: readability })

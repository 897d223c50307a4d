/** Two relays, two servers, one Redis: requests of one run meet whichever they meet, and any process may die. */

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { startOpenAiEndpoint } from '../fixtures/llm/openai-endpoint.ts'
import { startReplicas, type Replicas } from '../ops/replicas.ts'
import { newRunClient, type RunClient } from '../ops/run-client.ts'
import { toolchainPath } from '../ops/setup/toolchain.ts'
import type { RunEvent } from './contract.ts'

const posting = { source: 'json-ld', title: 'Engineer', company: 'Acme', location: '', description: 'Kafka and Go' }
const profile = {
  basics: { name: 'Ada Quill' },
  work: [{ name: 'Northwind', highlights: ['Ran Kafka for 12 teams.'] }],
}

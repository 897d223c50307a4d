/**
 * `npm run server -- webhooks [list | show ID | replay ID | replay all | drop ID | drop all | enable URL]`: what endpoints
 * have not taken. Works beside a running server and without one, with the same environment.
 */

import { existsSync } from 'node:fs'
import { openDatabase } from '../server/database.ts'
import type { Outbox } from '../server/webhooks/outbox.ts'
import { SqliteOutbox } from '../server/webhooks/sqlite-outbox.ts'

const USAGE = `Usage: npm run server -- webhooks [COMMAND]

  list          what could not be delivered, oldest first (the default), and which endpoints want no more
  show ID       what one of them says
  replay ID     begins its schedule anew; a running server sends it within half a minute
  replay all    the same with all of them
  drop ID       lets it go
  drop all      lets all of them go
  enable URL    sends to an endpoint again that has answered 410`

const [topic, command = 'list', which] = process.argv.slice(2)

try {
  process.exitCode = topic === 'webhooks' ? await answerFor(process.env) : complain()
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
}

/** Where the server with this environment keeps them. */
async function answerFor({ RUN_STORE, REDIS_URL = '', DIST_DIR }: NodeJS.ProcessEnv): Promise<number> {
  if (RUN_STORE === 'redis') {
    if (!REDIS_URL) throw new Error('REDIS_URL is not set, and RUN_STORE is redis.')
    // Where it is used only: they take longer to load than all the rest.
    const { connectRedis } = await import('../redis.ts')
    const { RedisOutbox } = await import('../server/redis/outbox.ts')
    const redis = connectRedis(REDIS_URL)
    try {
      return await answer(new RedisOutbox(redis))
    } finally {
      redis.disconnect()
    }
  }
  const folder = DIST_DIR || 'dist'
  if (!existsSync(`${folder}/server.sqlite`)) {
    throw new Error(`No server has written in ${folder}. Is DIST_DIR set as it is for the server?`)
  }
  const db = openDatabase(folder)
  try {
    return await answer(new SqliteOutbox(db))
  } finally {
    db.close()
  }
}

/** The exit code: 2 when it was asked wrongly, 1 when there is no such letter or endpoint. */
async function answer(outbox: Outbox): Promise<number> {
  if (command === 'list' && which === undefined) return list(outbox)
  if (which === undefined) return complain()
  if (command === 'show') return show(outbox, which)
  if (command === 'replay') return told(await outbox.replay(which, Date.now()), 'waiting again')
  if (command === 'drop') return told(await outbox.drop(which), 'dropped')
  if (command === 'enable') return told((await outbox.enable(new URL(which).href)) ? 1 : 0, 'enabled')
  return complain()
}

function complain(): number {
  console.error(USAGE)
  return 2
}

async function list(outbox: Outbox): Promise<number> {
  const letters = await outbox.deadLetters()
  if (letters.length === 0) console.log('No dead letters.')
  for (const { id, endpoint, createdAt, attempts, reason } of letters) {
    // Its host: the rest of an address may be a secret.
    const { host } = new URL(endpoint)
    console.log(`${id}  ${new Date(createdAt).toISOString()}  ${attempts} attempts  ${host}  ${reason}`)
  }
  console.log(`${await outbox.waiting()} waiting.`)
  for (const { url, disabledAt } of await outbox.disabled()) {
    console.log(`Disabled since ${new Date(disabledAt).toISOString()}: ${url}`)
  }
  return 0
}

async function show(outbox: Outbox, id: string): Promise<number> {
  const letter = (await outbox.deadLetters()).find((each) => each.id === id)
  if (letter) console.log(JSON.stringify(JSON.parse(letter.body), null, 2))
  return letter ? 0 : told(0, '')
}

function told(count: number, what: string): number {
  if (count > 0) console.log(`${count} ${what}.`)
  else console.error('There is none of that name.')
  return count > 0 ? 0 : 1
}

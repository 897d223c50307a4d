/**
 * `npm run server -- webhooks [list | show ID | replay ID | replay all | drop ID | drop all | enable URL]`: what endpoints
 * have not taken. Works beside a running server and without one, with the same environment.
 */

import { existsSync } from 'node:fs'
import { openDatabase } from '../server/database.ts'
import { Outbox } from '../server/webhooks/outbox.ts'

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
  process.exitCode = topic === 'webhooks' ? answer() : complain()
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
}

/** The exit code: 2 when it was asked wrongly, 1 when there is no such letter or endpoint. */
function answer(): number {
  const folder = process.env.DIST_DIR || 'dist'
  if (!existsSync(`${folder}/server.sqlite`)) {
    throw new Error(`No server has written in ${folder}. Is DIST_DIR set as it is for the server?`)
  }
  const db = openDatabase(folder)
  try {
    const outbox = new Outbox(db)
    if (command === 'list' && which === undefined) return list(outbox)
    if (which === undefined) return complain()
    if (command === 'show') return show(outbox, which)
    if (command === 'replay') return told(outbox.replay(which, Date.now()), 'waiting again')
    if (command === 'drop') return told(outbox.drop(which), 'dropped')
    if (command === 'enable') return told(outbox.enable(new URL(which).href) ? 1 : 0, 'enabled')
    return complain()
  } finally {
    db.close()
  }
}

function complain(): number {
  console.error(USAGE)
  return 2
}

function list(outbox: Outbox): number {
  const letters = outbox.deadLetters()
  if (letters.length === 0) console.log('No dead letters.')
  for (const { id, endpoint, createdAt, attempts, reason } of letters) {
    // Its host: the rest of an address may be a secret.
    const { host } = new URL(endpoint)
    console.log(`${id}  ${new Date(createdAt).toISOString()}  ${attempts} attempts  ${host}  ${reason}`)
  }
  console.log(`${outbox.waiting()} waiting.`)
  for (const { url, disabledAt } of outbox.disabled()) {
    console.log(`Disabled since ${new Date(disabledAt).toISOString()}: ${url}`)
  }
  return 0
}

function show(outbox: Outbox, id: string): number {
  const letter = outbox.deadLetters().find((each) => each.id === id)
  if (letter) console.log(JSON.stringify(JSON.parse(letter.body), null, 2))
  return letter ? 0 : told(0, '')
}

function told(count: number, what: string): number {
  if (count > 0) console.log(`${count} ${what}.`)
  else console.error('There is none of that name.')
  return count > 0 ? 0 : 1
}

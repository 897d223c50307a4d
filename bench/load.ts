/** Requests that were made before, sent over connections that stay open, as fast as they are answered. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

/** Requests under way at a time, each on a connection of its own. */
export const CONNECTIONS = 32
const LOOK_EVERY_MS = 20

/** A request as its bytes, head and body. */
export function requestOf(url: string, headers: Record<string, string>, body: Uint8Array): Buffer {
  const { host, pathname } = new URL(url)
  const fields = { host, ...headers, 'content-length': String(body.length) }
  const head = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`)
  return Buffer.concat([Buffer.from(`POST ${pathname} HTTP/1.1\r\n${head.join('')}\r\n`), body])
}

/**
 * Sends them in turn, again and again, until it `isEnough`, and resolves with how many there were when the last is
 * answered. Not a client's library: what it would need, the relay would wait for. Throws an Error for an answer that is
 * not 200.
 */
export async function sendUntil(url: string, requests: readonly Buffer[], isEnough: () => boolean): Promise<number> {
  let enough = false
  const watching = setInterval(() => {
    enough = isEnough()
  }, LOOK_EVERY_MS)
  let sent = 0
  const next = () => {
    if (enough) return undefined
    sent += 1
    return requests[sent % requests.length]
  }
  try {
    await Promise.all(Array.from({ length: CONNECTIONS }, () => sendOver(url, next)))
  } finally {
    clearInterval(watching)
  }
  return sent
}

async function sendOver(url: string, next: () => Buffer | undefined): Promise<void> {
  const { hostname, port } = new URL(url)
  const socket = connect(Number(port), hostname).setNoDelay()
  try {
    await once(socket, 'connect')
    await exchange(socket, next)
  } finally {
    socket.destroy()
  }
}

function exchange(socket: Socket, next: () => Buffer | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    let answer = ''
    const send = () => {
      const request = next()
      if (request) socket.write(request)
      else resolve()
    }
    socket.on('error', reject)
    socket.on('close', () => reject(new Error('The connection was closed.')))
    socket.on('data', (chunk) => {
      answer += chunk.toString('latin1')
      const body = answer.indexOf('\r\n\r\n') + 4
      const length = /^content-length: *(\d+)/im.exec(answer)?.[1]
      if (body < 4 || (length !== undefined && answer.length < body + Number(length))) return
      if (!answer.startsWith('HTTP/1.1 200 ')) return reject(new Error(`Refused: ${answer.slice(0, 400)}`))
      answer = ''
      send()
    })
    send()
  })
}

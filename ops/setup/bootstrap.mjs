/**
 * Runs a TypeScript file of this project on the project's own Node, after making sure that both are there:
 *
 *     node ops/setup/bootstrap.mjs <script.ts> [arguments…]
 *
 * Plain JavaScript, because it is what runs before anything is installed: any Node from 18 on will do. So are the
 * synthetic checks' commands, which only lead here.
 * Not an npm `pre…` hook: those cannot change which Node the script after them runs on.
 */

import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { constants } from 'node:os'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../..', import.meta.url))
const bin = join(root, 'node_modules', '.bin')
const node = join(bin, process.platform === 'win32' ? 'node.cmd' : 'node')
const installedLock = join(root, 'node_modules', '.pass-ats-lock')
// Windows starts .cmd files only through a shell; nothing here is built from what a person typed.
const shell = process.platform === 'win32'

const [script, ...args] = process.argv.slice(2)
if (!script) fail('Usage: node ops/setup/bootstrap.mjs <script.ts> [arguments…]')

const lock = createHash('sha256')
  .update(readFileSync(join(root, 'package-lock.json')))
  .digest('hex')
const installed = existsSync(installedLock) && readFileSync(installedLock, 'utf8') === lock && existsSync(node)
if (!installed) await install()
process.exit(await run(node, [script, ...args]))

/**
 * `npm install`, with the time that passes as its progress and npm's own words only when it fails.
 *
 * Not `npm ci`: it refuses a lock file that leaves out optional packages of other systems, which npm itself writes
 * when its registry does not have them, and it removes node_modules from under whatever runs from there. `--no-save`
 * leaves the lock file as it is; package.json pins every version.
 */
async function install() {
  const started = Date.now()
  const line = () => `  ${'Dependencies'.padEnd(16)}npm install  ${Math.round((Date.now() - started) / 1000)} s`
  const tick = process.stderr.isTTY ? setInterval(() => process.stderr.write(`\r${line()}`), 500) : undefined
  if (!tick) console.error(`${line().replace(/ {2}\d+ s$/, '')} (once; a minute or so)`)
  // npm warns that this Node is older than some packages ask for (they will run on the newer one it is installing)
  // and about install scripts that package.json already decides on. True, harmless, and alarming: held back.
  let said = ''
  const keep = (chunk) => {
    said += chunk
  }
  const npm = spawn('npm', ['install', '--no-save', '--no-audit', '--no-fund'], {
    cwd: root,
    shell,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  npm.stdout.on('data', keep)
  npm.stderr.on('data', keep)
  const forward = passSignalsTo(npm)
  const code = await ended(npm).catch((error) => {
    said += `${error.message}\n`
    return 1
  })
  forward.stop()
  clearInterval(tick)
  if (tick) process.stderr.write('\r\x1b[K')
  if (code !== 0) {
    process.stderr.write(said)
    fail('The dependencies could not be installed; npm says why above. Try again with:\n\n    npm install\n', code)
  }
  writeFileSync(installedLock, lock)
  console.error(line())
}

/** Runs a program in the person's terminal and gives its exit code. */
async function run(program, programArgs) {
  const child = spawn(program, programArgs, {
    stdio: 'inherit',
    shell,
    env: { ...process.env, PATH: `${bin}${delimiter}${process.env.PATH ?? ''}` },
  })
  passSignalsTo(child)
  return ended(child).catch((error) => fail(`Could not start ${program}: ${error.message}`))
}

/** A signal ends the child, and the child's end ends this: never the other way round, or its clean-up is cut off. */
function passSignalsTo(child) {
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP']
  const pass = (signal) => {
    // A terminal's Ctrl-C reaches the whole foreground group: the child has it already.
    if (signal === 'SIGINT' && process.stdin.isTTY) return
    child.kill(signal)
  }
  for (const signal of signals) process.on(signal, pass)
  return { stop: () => signals.forEach((signal) => void process.off(signal, pass)) }
}

/** Exit code of a child; 128 + the signal's number when a signal ended it, as shells say it. */
function ended(child) {
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, signal) => resolve(code ?? 128 + constants.signals[signal]))
  })
}

function fail(message, code = 1) {
  console.error(message)
  process.exit(code)
}

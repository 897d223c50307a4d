/**
 * What a set-up says while it works: one quiet line a step, with what was found and how long it took.
 *
 *     Chromium ………………… /usr/bin/chromium                        0.1 s
 */

import { styleText } from 'node:util'

const NAME_WIDTH = 20
const FOUND_WIDTH = 52

/** A step that cannot succeed: what is missing, why it is needed, and the command that fixes it. */
export class SetupError extends Error {
  readonly why: string
  readonly fix: string

  constructor(missing: string, { why, fix, cause }: { why: string; fix: string; cause?: unknown }) {
    super(missing, { cause })
    this.name = 'SetupError'
    this.why = why
    this.fix = fix
  }

  /** The three things a person needs, on lines of their own. */
  override toString(): string {
    const { cause } = this
    const because = cause instanceof Error ? `\n\n  ${cause.message.trim().split('\n').slice(-8).join('\n  ')}` : ''
    return `${this.message}\n  Needed for: ${this.why}${because}\n\n  Fix it with:\n\n    ${this.fix}\n`
  }
}

/** What a step reports: the thing it made or found, and the few words shown for it. */
export interface Found<T> {
  value: T
  shown: string
}

/** Writes set-up steps to a terminal, or plainly to a file. */
export class Progress {
  readonly #out: NodeJS.WriteStream

  constructor(out: NodeJS.WriteStream = process.stdout) {
    this.#out = out
  }

  /** Runs one step and prints its line. `now` says what a slow step is busy with. Throws what the work throws. */
  async step<T>(name: string, work: (now: (busy: string) => void) => Promise<Found<T>>): Promise<T> {
    const started = performance.now()
    try {
      const { value, shown } = await work((busy) => this.#busy(name, busy))
      this.#done(name, shown, performance.now() - started)
      return value
    } catch (error) {
      this.#clear()
      this.#out.write(`${this.#head(name)}${this.#style('red', 'failed')}\n`)
      throw error
    }
  }

  /** One line for something that works less well than it could. */
  warn(name: string, text: string): void {
    this.#out.write(`${this.#head(name)}${this.#style('yellow', text)}\n`)
  }

  #busy(name: string, busy: string): void {
    this.#clear()
    this.#out.write(`${this.#head(name)}${this.#style('dim', `${busy} …`)}${this.#out.isTTY ? '' : '\n'}`)
  }

  #done(name: string, shown: string, milliseconds: number): void {
    this.#clear()
    const time = `${(milliseconds / 1000).toFixed(1)} s`.padStart(8)
    this.#out.write(`${this.#head(name)}${shown.padEnd(FOUND_WIDTH)}${this.#style('dim', time)}\n`)
  }

  #head(name: string): string {
    return `  ${name} ${this.#style('dim', '…'.repeat(Math.max(2, NAME_WIDTH - name.length)))} `
  }

  // Only a terminal can take back a line; a log keeps every word of what was going on.
  #clear(): void {
    if (this.#out.isTTY) this.#out.write('\r\x1b[K')
  }

  #style(style: 'dim' | 'red' | 'yellow', text: string): string {
    // styleText honours NO_COLOR and a stream that is no terminal.
    return styleText(style, text, { stream: this.#out })
  }
}

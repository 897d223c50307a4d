/** The line that says how an action ended. */

/** Said in the words as well: colour only helps. */
export type Tone = 'ok' | 'warning' | 'failed' | 'plain'

/** Writes the line; '' empties it. A live region, so it is read out too. */
export function say(line: HTMLElement, tone: Tone, words: string): void {
  line.dataset.tone = tone
  line.textContent = words
}

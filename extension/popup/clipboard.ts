/** Copying, with an answer on the button that was pressed. */

import { announce } from './paint.ts'

const SHOWN_MS = 2_000

/**
 * Puts the text on the clipboard and says so: on the button for two seconds, and to a screen reader ("`What` is
 * copied."). Resolves with false where the browser does not allow it: then nothing is said.
 */
export async function copy(text: string, button: HTMLButtonElement, what: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text)
  } catch {
    return false
  }
  announce(`${what} is copied.`)
  if (button.textContent === 'Copied') return true
  const label = button.textContent
  button.textContent = 'Copied'
  setTimeout(() => {
    button.textContent = label
  }, SHOWN_MS)
  return true
}

/** Selects what could not be copied, so that the person can copy it by hand. */
export function selectForCopying(shown: HTMLElement, what: string): void {
  getSelection()?.selectAllChildren(shown)
  announce(`Copying is not allowed here. ${what} is selected.`)
}

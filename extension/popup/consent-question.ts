/** Asks, once and in place, whether traces may be sent by themselves. Everything works without an answer. */

import { onConsent, readConsent, saveConsent } from '../consent.ts'
import { part } from '../pages.ts'
import { setText, show } from './paint.ts'

/** Calls back with whether the question is open, now and at every change. */
export async function startConsentQuestion(changed: (open: boolean) => void): Promise<void> {
  // Nothing is awaited before it is saved: Firefox asks in its own words, and only while it handles the click.
  part('consent-yes', HTMLButtonElement).addEventListener('click', () => told(saveConsent(true)))
  part('consent-no', HTMLButtonElement).addEventListener('click', () => told(saveConsent(false)))
  onConsent((given) => changed(given === undefined))
  changed((await readConsent()) === undefined)

  async function told(saved: Promise<boolean>): Promise<void> {
    const words = await saved.then(
      (given) => `${given ? 'Thank you.' : 'Nothing is sent by itself.'} You can change this in Options.`,
      () => 'Your answer could not be kept. We’ll ask another time.',
    )
    changed(false)
    setText('consent-note', words)
    show('consent-note', true)
    // The button that had the focus is gone; a screen reader reads the note for it.
    part('consent-note', HTMLElement).focus()
  }
}

/** What is sent of runs, and what is kept of them: the consent, the random IDs, the past runs. */

import browser from 'webextension-polyfill'
import { onConsent, readConsent, saveConsent } from '../consent.ts'
import { FORGET_RUNS, RENEW_IDS } from '../messages.ts'
import { part } from '../pages.ts'
import { say } from './status-line.ts'

const consent = part('sent-consent', HTMLInputElement)
const consentStatus = part('sent-consent-status', HTMLElement)
const renew = part('sent-renew', HTMLButtonElement)
const forget = part('sent-forget', HTMLButtonElement)
const forgetStatus = part('sent-forget-status', HTMLElement)
const confirmation = part('sent-forget-confirm', HTMLElement)

/** Shows the consent as it is and as it changes elsewhere, and answers every button from then on. */
export async function startSentForm(): Promise<void> {
  consent.checked = (await readConsent()) === true
  onConsent((given) => {
    consent.checked = given === true
  })
  // A click, not a change: Firefox asks in its own words, and only while it handles a click. The space bar makes one.
  consent.addEventListener('click', changeConsent)
  renew.addEventListener('click', renewIds)
  forget.addEventListener('click', () => askToForget(true))
  part('sent-forget-no', HTMLButtonElement).addEventListener('click', () => askToForget(false))
  part('sent-forget-yes', HTMLButtonElement).addEventListener('click', forgetRuns)
  confirmation.addEventListener('keydown', ({ key }) => {
    if (key === 'Escape') askToForget(false)
  })
}

async function changeConsent(): Promise<void> {
  const wanted = consent.checked
  try {
    const given = await saveConsent(wanted)
    consent.checked = given
    if (given) say(consentStatus, 'ok', 'Saved. Runs in which something fails are sent from now on.')
    else if (wanted) say(consentStatus, 'plain', 'Nothing is sent by itself: the browser was told no.')
    else say(consentStatus, 'ok', 'Saved. Nothing is sent by itself any more.')
  } catch {
    consent.checked = !wanted
    say(consentStatus, 'failed', 'Not saved: the browser did not take it. Try again.')
  }
}

async function renewIds(): Promise<void> {
  const status = part('sent-renew-status', HTMLElement)
  say(status, 'plain', 'Waiting for the run under way to end, if there is one…')
  const done = await asked(RENEW_IDS)
  if (done) say(status, 'ok', 'The IDs are new, and records with the old ones are deleted.')
  else say(status, 'failed', 'Not done: the extension did not answer. Try again.')
}

/** In place, not in a window of the browser's: it says in full what goes. */
function askToForget(asking: boolean): void {
  confirmation.hidden = !asking
  if (asking) say(forgetStatus, 'plain', '')
  const next = asking ? part('sent-forget-no', HTMLButtonElement) : forget
  next.focus()
}

async function forgetRuns(): Promise<void> {
  const done = await asked(FORGET_RUNS)
  askToForget(false)
  if (done) say(forgetStatus, 'ok', 'Deleted.')
  else say(forgetStatus, 'failed', 'Not deleted: the extension did not answer. Try again.')
}

/** Whether the background did it. */
function asked(type: string): Promise<boolean> {
  return browser.runtime.sendMessage({ type, payload: {} }).then(
    () => true,
    () => false,
  )
}

/** The profile: type, paste or open it, see what is wrong with it, save it, take it along, delete it. */

import browser from 'webextension-polyfill'
import type { Profile } from '../../server/request-contract.ts'
import { part } from '../pages.ts'
import { readSettings, saveProfile } from '../settings.ts'
import { EXAMPLE_PROFILE } from './example-profile.ts'
import type { Place } from './json-places.ts'
import { keepDraft, readDraft } from './profile-draft.ts'
import { checkProfile, type Problem, profileCounts } from './profile-problems.ts'
import { say } from './status-line.ts'

/** Larger files are not read: no resume is. Bytes. */
const MAX_FILE_BYTES = 512 * 1024
const DRAFT_DELAY_MS = 200

const textarea = part('profile-text', HTMLTextAreaElement)
const file = part('profile-file', HTMLInputElement)
const status = part('profile-status', HTMLElement)
const discard = part('profile-discard', HTMLButtonElement)

let saved: Profile | undefined
let savedText = ''
let draftTimer: ReturnType<typeof setTimeout> | undefined

/** Shows what is saved, or the draft with its problems, and answers every button from then on. */
export async function startProfileForm(): Promise<void> {
  const [settings, draft] = await Promise.all([readSettings(), readDraft()])
  showSaved(settings.profile)
  textarea.value = draft ?? savedText
  if (draft !== undefined) {
    const { problems } = checkProfile(draft)
    showProblems(problems ?? [])
    const rest = problems ? correctionWords(problems) : 'Press Save profile to use it.'
    say(status, 'warning', `This is what you typed last time. It is not saved yet. ${rest}`)
  }
  showDirty()

  textarea.addEventListener('input', typed)
  addEventListener('pagehide', () => {
    // Only what this page knows: another tab of options may have a draft of its own.
    if (isDirty()) keepNow()
  })
  part('profile-save', HTMLButtonElement).addEventListener('click', save)
  discard.addEventListener('click', discardChanges)
  part('profile-example', HTMLButtonElement).addEventListener('click', () => {
    if (mayReplace()) replace(textOf(EXAMPLE_PROFILE), 'An example of an invented person. Make it yours, then save it.')
  })
  file.addEventListener('change', () => open(file.files?.[0]))
  textarea.addEventListener('dragover', (event) => event.preventDefault())
  textarea.addEventListener('drop', (event) => {
    const dropped = event.dataTransfer?.files[0]
    if (!dropped) return // text: the browser inserts it
    event.preventDefault() // or the browser leaves this page to show the file
    open(dropped)
  })
  part('profile-download', HTMLButtonElement).addEventListener('click', download)
  part('profile-delete', HTMLButtonElement).addEventListener('click', forget)
}

async function save(): Promise<void> {
  const text = textarea.value
  const checked = checkProfile(text)
  showProblems(checked.problems ?? [])
  if (checked.problems) {
    keepNow()
    say(status, 'failed', `Not saved. ${correctionWords(checked.problems)}`)
    const [first] = checked.problems
    if (first) select(first.place)
    return
  }
  try {
    await saveProfile(checked.profile)
    clearTimeout(draftTimer)
    await keepDraft(undefined)
    showSaved(checked.profile)
    // What was typed while it was being saved is not saved.
    savedText = text
    if (isDirty()) keepNow()
    showDirty()
    say(status, 'ok', 'Saved.')
  } catch {
    say(status, 'failed', 'Not saved: the browser has no room for it. Your text is still here; download it to be safe.')
  }
}

async function open(opened: File | undefined): Promise<void> {
  file.value = '' // so that the same file, corrected, can be opened again
  if (!opened || !mayReplace()) return
  if (opened.size > MAX_FILE_BYTES)
    return say(status, 'failed', `${opened.name} was not opened: it is larger than 512 KiB.`)
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(await opened.arrayBuffer())
    replace(text, `${opened.name} is open. Press Save profile to use it.`)
  } catch {
    say(status, 'failed', `${opened.name} could not be read as text (UTF-8).`)
  }
}

/** Puts another text in place, kept as a draft, with its problems shown at once. */
function replace(text: string, words: string): void {
  textarea.value = text
  textarea.scrollTop = 0
  const { problems } = checkProfile(text)
  showProblems(problems ?? [])
  say(status, problems ? 'warning' : 'plain', problems ? correctionWords(problems) : words)
  keepNow()
  showDirty()
}

function mayReplace(): boolean {
  return !isDirty() || confirm('Replace what you have typed? It is not saved yet.')
}

async function discardChanges(): Promise<void> {
  if (!confirm('Go back to what is saved? What you have typed since is lost.')) return
  clearTimeout(draftTimer)
  await keepDraft(undefined)
  textarea.value = savedText
  showProblems([])
  say(status, 'plain', '')
  showDirty()
}

async function forget(): Promise<void> {
  if (!confirm('Delete your profile from this browser? Download it first if you have no other copy.')) return
  clearTimeout(draftTimer)
  await browser.storage.local.remove('profile')
  await keepDraft(undefined)
  showSaved(undefined)
  textarea.value = ''
  showProblems([])
  say(status, 'plain', 'Deleted.')
  showDirty()
}

function download(): void {
  if (!saved) return
  const link = document.createElement('a')
  link.href = URL.createObjectURL(new Blob([textOf(saved)], { type: 'application/json' }))
  link.download = 'resume.json'
  link.click()
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000)
}

function typed(): void {
  clearTimeout(draftTimer)
  draftTimer = setTimeout(keepNow, DRAFT_DELAY_MS)
  textarea.removeAttribute('aria-invalid')
  if (status.dataset.tone === 'ok') say(status, 'plain', '')
  showDirty()
}

function keepNow(): void {
  clearTimeout(draftTimer)
  keepDraft(isDirty() ? textarea.value : undefined).catch(() =>
    say(status, 'failed', 'The browser has no room to keep what you type. Save or copy it before you close this page.'),
  )
}

const isDirty = () => textarea.value !== savedText

function showDirty(): void {
  discard.hidden = !isDirty() || savedText === ''
}

function showSaved(profile: Profile | undefined): void {
  saved = profile
  savedText = profile ? textOf(profile) : ''
  part('profile-summary', HTMLElement).textContent = profile ? summaryOf(profile) : 'No profile is saved yet.'
  part('profile-saved-actions', HTMLElement).hidden = !profile
}

/** Each problem leads to its place. */
function showProblems(problems: Problem[]): void {
  textarea.toggleAttribute('aria-invalid', false)
  if (problems.length > 0) textarea.setAttribute('aria-invalid', 'true')
  const list = part('profile-problems', HTMLElement)
  list.hidden = problems.length === 0
  list.replaceChildren(...problems.map(problemRow))
}

function problemRow({ where, what, place }: Problem): HTMLLIElement {
  const path = document.createElement('code')
  path.textContent = where
  const words = document.createElement('span')
  words.append(path, `: ${what}`)
  const button = document.createElement('button')
  button.type = 'button'
  button.append(words)
  button.addEventListener('click', () => select(place))
  const row = document.createElement('li')
  row.append(button)
  return row
}

/** Focuses the text, selects the place and brings it into view: browsers scroll a textarea only for a moving caret. */
function select({ start, end }: Place): void {
  const ruler = textarea.cloneNode() as HTMLTextAreaElement
  ruler.removeAttribute('id')
  ruler.removeAttribute('data-testid')
  ruler.style.cssText = `position: absolute; visibility: hidden; min-height: 0; height: 0; width: ${textarea.offsetWidth}px`
  ruler.value = textarea.value.slice(0, start)
  document.body.append(ruler)
  const top = ruler.scrollHeight
  ruler.remove()
  textarea.focus({ preventScroll: true })
  textarea.setSelectionRange(start, end)
  textarea.scrollTop = top - textarea.clientHeight / 2
  textarea.scrollIntoView({ block: 'nearest' })
}

const textOf = (profile: Profile) => `${JSON.stringify(profile, null, 2)}\n`
const count = (n: number, noun: string) => `${n} ${noun}${n === 1 ? '' : 's'}`
const correctionWords = (problems: Problem[]) =>
  problems.length === 1 ? 'There is one thing to correct.' : `There are ${problems.length} things to correct.`

function summaryOf(profile: Profile): string {
  const { name, jobs, bullets, skills } = profileCounts(profile)
  return `Saved: ${name} · ${count(jobs, 'job')} · ${count(bullets, 'bullet')} · ${count(skills, 'skill')}`
}

/** Which of the popup's screens is shown: the run, the past runs or a report; and the way back, focus included. */

import { part } from '../pages.ts'

export type Screen = 'home' | 'past-runs-panel' | 'report-panel'

/** The screens on the way to the one that is shown, each with what had the focus there. */
const trail: { screen: Screen; focused: Element | null }[] = []
let shown: Screen = 'home'

/** Escape and the Back buttons lead back from now on. */
export function startScreens(): void {
  for (const name of ['past-runs-back', 'report-back']) part(name, HTMLButtonElement).addEventListener('click', goBack)
  addEventListener('keydown', (event) => {
    if (event.key !== 'Escape' || trail.length === 0) return
    event.preventDefault() // left alone, it closes the whole popup
    goBack()
  })
}

/** Shows the screen in the place of the one there is, and moves the focus to its heading. */
export function goTo(screen: Screen): void {
  trail.push({ screen: shown, focused: document.activeElement })
  swap(screen)
  const panel = part(screen, HTMLElement)
  panel.querySelector('.scroll')?.scrollTo(0, 0)
  panel.querySelector<HTMLElement>('h1[tabindex]')?.focus()
}

export function isShown(screen: Screen): boolean {
  return shown === screen
}

function goBack(): void {
  const before = trail.pop()
  if (!before) return
  swap(before.screen)
  if (before.focused instanceof HTMLElement) before.focused.focus()
}

function swap(screen: Screen): void {
  part(shown, HTMLElement).hidden = true
  shown = screen
  part(shown, HTMLElement).hidden = false
}

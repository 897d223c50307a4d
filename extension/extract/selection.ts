/** Takes what the person has selected: nobody knows better what the posting is. */

import { finished } from './draft.ts'
import { pageHeading } from './heading.ts'
import { MIN_DESCRIPTION, type Strategy } from './posting.ts'

export const selection: Strategy = {
  source: 'selection',
  read(page) {
    // Before the page is searched for a heading: a stray double-click must cost nothing.
    const selected = page.selection.trim()
    if (selected === '') return { gaveUp: 'nothing_selected' }
    if (selected.length < MIN_DESCRIPTION) return { gaveUp: 'too_short' }
    return finished('selection', { ...pageHeading(page), description: selected })
  },
}

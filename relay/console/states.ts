/** How the outcome of a run is shown: an icon and a word, so that its colour is never all there is. */
import type { State } from './diagnosis.ts'

export const STATES: Record<State, { icon: string; word: string }> = {
  done: { icon: '✓', word: 'Done' },
  failed: { icon: '✕', word: 'Failed' },
  cancelled: { icon: '–', word: 'Cancelled' },
  running: { icon: '▸', word: 'Running' },
  open: { icon: '…', word: 'Open' },
}

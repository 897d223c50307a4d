/** The list of past runs as it is shown: everything that can be decided without a DOM. */

import type { PastRun } from '../past-runs.ts'
import { agoText } from './duration.ts'
import type { StepState } from './view.ts'

export interface PastRunRow {
  id: string
  shortId: string
  title: string
  /** '' when no posting was read. */
  company: string
  icon: StepState
  /** How it ended. */
  word: string
  /** The failure's code; '' when it did not fail. */
  code: string
  /** How long ago the button was pressed. */
  when: string
  /** Epoch milliseconds of it. */
  startedAt: number
  /** What became of the person's report; '' when there is none. */
  reported: string
  canReport: boolean
  /** The PDF is still in this browser. */
  canOpen: boolean
}

const ENDS: Record<PastRun['status'], Pick<PastRunRow, 'icon' | 'word'>> = {
  running: { icon: 'now', word: 'Under way' },
  done: { icon: 'done', word: 'Done' },
  failed: { icon: 'failed', word: 'Failed' },
}
const CANCELLED: (typeof ENDS)['failed'] = { icon: 'waiting', word: 'Cancelled' }
const REPORTS = { waiting: 'Report waiting', sent: 'Reported' }

/** `delivered`: IDs of the runs whose PDF is here. */
export function rowsOf(runs: readonly PastRun[], delivered: ReadonlySet<string>, now: number): PastRunRow[] {
  return runs.map(({ id, status, startedAt, posting, code, report }) => ({
    ...{ id, startedAt, shortId: id.slice(0, 8), ...(code === 'cancelled' ? CANCELLED : ENDS[status]) },
    title: titleOf(status, posting),
    company: posting ? posting.company || 'Company not named' : '',
    code: code === 'cancelled' ? '' : (code ?? ''),
    when: agoText(now - startedAt),
    reported: report ? REPORTS[report] : '',
    canReport: status !== 'running',
    canOpen: delivered.has(id),
  }))
}

function titleOf(status: PastRun['status'], posting: PastRun['posting']): string {
  if (posting) return posting.title || 'A posting without a title'
  return status === 'running' ? 'Reading the page…' : 'No posting was read'
}

/** Sends LaTeX and gets its PDF. The server keeps nothing of it, so there is nothing to clear away, or to find again. */

import type { Check } from './attempt.ts'
import { assertPdf } from './sound-pdf.ts'
import { type Relay, signIn, visitor } from './visit.ts'

/** Where CompilesAreSlow warns. */
const OBJECTIVE_MS = 20_000

export function compileCheck(relay: Relay, objectiveMs = OBJECTIVE_MS): Check {
  return {
    name: 'compile',
    objectiveMs,
    waited: ['compile'],
    async run(attempt) {
      const visit = visitor(relay, await signIn(relay, attempt), attempt)
      attempt.phase('compile')
      // Of this try: an answer to an earlier one would not do.
      const words = `Typeset ${attempt.id}`
      const latex = `\\documentclass{article}\n\\begin{document}\n${words}\n\\end{document}\n`
      const pdf = await visit.compile(latex)
      attempt.phase('validate')
      await assertPdf(pdf, { words, maxPages: 1 })
    },
  }
}

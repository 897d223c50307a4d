/**
 * `npm run alerts [-- --runbooks URL]`: writes the rules of the documents to `ops/alerts/rules.yml`; or, with the address
 * at which your people read the documents, prints them with links to there.
 */

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { ALERTS_DIR, readDocuments } from './document.ts'
import { rulesFile } from './rules-file.ts'

const { values: flags } = parseArgs({ options: { runbooks: { type: 'string' } } })
const documents = readDocuments()
if (flags.runbooks) process.stdout.write(rulesFile(documents, { runbooks: flags.runbooks.replace(/\/+$/, '') }))
else writeFileSync(join(ALERTS_DIR, 'rules.yml'), rulesFile(documents))

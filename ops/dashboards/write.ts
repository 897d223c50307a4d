/** `npm run dashboards`: writes each dashboard's JSON from its source, for Grafana to read. */
import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Dashboard } from '@grafana/schema'
import { NAMES, type Name } from './board.ts'
import { errors } from './errors.ts'
import { overview } from './overview.ts'
import type { Json } from './panel.ts'
import { performance } from './performance.ts'
import { resources } from './resources.ts'

export const DASHBOARDS: Record<Name, Json<Dashboard>> = { overview, performance, errors, resources }

/** The file's name and what must be in it. */
export const fileOf = (name: Name): { path: string; text: string } => ({
  path: fileURLToPath(new URL(`${name}.json`, import.meta.url)),
  text: `${JSON.stringify(DASHBOARDS[name], null, 2)}\n`,
})

if (import.meta.main) {
  for (const { path, text } of NAMES.map(fileOf)) writeFileSync(path, text)
}

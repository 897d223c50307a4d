/** What the product is made of besides its own code, as CycloneDX: npm's own words, without what differs each time. */

import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'

const MAX_BYTES = 64 * 1024 ** 2

interface Bill {
  serialNumber?: string
  metadata: { timestamp: string; component: { name: string } }
  components: { 'bom-ref': string; properties: { name: string; value: string }[] }[]
  dependencies: { ref: string; dependsOn: string[] }[]
}

const DEVELOPMENT = 'cdx:npm:package:development'

/**
 * Of the packages that package-lock.json names, those for development left out. `at` is ISO 8601. Throws where npm is older
 * than 9, which has no `npm sbom`.
 */
export function billOfMaterials(root: string, name: string, at: string): string {
  // With the tools: --omit=dev leaves out, too, what tools and product have in common. It has to be said, since who has
  // built with Vite has NODE_ENV=production from then on, and npm leaves them out by that.
  const words = ['sbom', '--sbom-format', 'cyclonedx', '--package-lock-only', '--include=dev']
  const bill = JSON.parse(execFileSync('npm', words, { cwd: root, encoding: 'utf8', maxBuffer: MAX_BYTES })) as Bill
  const isTool = (component: Bill['components'][number]) =>
    component.properties.some(({ name }) => name === DEVELOPMENT)
  const tools = new Set(bill.components.filter(isTool).map((component) => component['bom-ref']))
  const isOurs = (ref: string) => !tools.has(ref)
  bill.components = bill.components.filter((component) => isOurs(component['bom-ref']))
  bill.dependencies = bill.dependencies
    .filter(({ ref }) => isOurs(ref))
    .map(({ ref, dependsOn }) => ({ ref, dependsOn: dependsOn.filter(isOurs) }))
  // npm takes the name of the folder, which is whatever somebody has cloned into.
  bill.metadata.component.name = name
  bill.metadata.timestamp = at
  delete bill.serialNumber
  const hash = createHash('sha256').update(JSON.stringify(bill)).digest('hex')
  return `${JSON.stringify({ ...bill, serialNumber: `urn:uuid:${uuidOf(hash)}` }, null, 2)}\n`
}

/** Version 8 of RFC 9562: whatever one likes. */
function uuidOf(hash: string): string {
  const [a, b, c, d, e] = [
    hash.slice(0, 8),
    hash.slice(8, 12),
    hash.slice(13, 16),
    hash.slice(17, 20),
    hash.slice(20, 32),
  ]
  return `${a}-${b}-8${c}-8${d}-${e}`
}

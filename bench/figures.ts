/** Whatever a bench has measured, as tables: things of one kind are rows, what is known of each is a column. */

type Scalar = string | number | boolean | null

/** Lines of Markdown, under the names that the figures have. */
export function figuresOf(results: object, path: readonly string[] = []): string[] {
  const entries = Object.entries(results)
  const scalars = entries.flatMap(([name, value]) => (isScalar(value) ? [[name, value] as const] : []))
  const nested = entries.filter(([, value]) => !isScalar(value) && Object.keys(value).length > 0)
  const heading = path.length > 0 ? [`**${path.join(', ')}**`, ''] : []
  const rows = Object.fromEntries(nested)
  const asTable = nested.length > 1 && isTable(rows)
  return [
    ...(scalars.length > 0 || asTable ? heading : []),
    ...(scalars.length > 0 ? [...scalars.map(([name, value]) => `- ${name}: ${cell(value)}`), ''] : []),
    ...(asTable ? tableOf(rows) : nested.flatMap(([name, value]) => figuresOf(value as object, [...path, name]))),
  ]
}

/** Four digits are more than noise leaves; a count is told whole. */
export function numeral(value: number | null): string {
  if (value === null || Number.isNaN(value)) return '\u2013'
  return (Number.isInteger(value) ? value : Number(value.toPrecision(4))).toLocaleString('en', {
    maximumSignificantDigits: 21,
  })
}

/** Everything in it is alike, and has nothing in it that needs a table of its own. */
function isTable(rows: Record<string, object>): boolean {
  const columns = Object.values(rows).map((row) => Object.keys(flat(row)))
  const all = new Set(columns.flat())
  return all.size <= 12 && columns.every((names) => names.length * 2 > all.size)
}

function tableOf(rows: Record<string, object>): string[] {
  const flatRows = Object.entries(rows).map(([name, row]) => [name, flat(row)] as const)
  const columns = [...new Set(flatRows.flatMap(([, row]) => Object.keys(row)))]
  return [
    `| | ${columns.join(' | ')} |`,
    `| --- |${' --- |'.repeat(columns.length)}`,
    ...flatRows.map(
      ([name, row]) => `| ${escaped(name)} | ${columns.map((column) => cell(row[column] ?? '')).join(' | ')} |`,
    ),
    '',
  ]
}

/** `{a: {b: 1}}` has the column `a.b`. */
function flat(row: object, prefix = ''): Record<string, Scalar | Scalar[]> {
  return Object.fromEntries(
    Object.entries(row).flatMap(([name, value]) =>
      isScalar(value) || (Array.isArray(value) && value.every(isScalar))
        ? [[prefix + name, value] as const]
        : Object.entries(flat(value, `${prefix}${name}.`)),
    ),
  )
}

function cell(value: Scalar | Scalar[]): string {
  if (Array.isArray(value)) return value.map(cell).join(', ')
  return typeof value === 'number' ? numeral(value) : escaped(String(value ?? '\u2013'))
}

const isScalar = (value: unknown): value is Scalar => value === null || typeof value !== 'object'

/** As text of a cell. */
export const escaped = (text: string) => text.replaceAll('|', '\\|').replaceAll('<', '&lt;').replaceAll('\n', ' ')

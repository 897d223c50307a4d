/** A trace's waterfall for a terminal: one line a span, aligned, the failed ones said in words. */

import { styleText } from 'node:util'
import { SERVICE_EXTENSION, SERVICE_RELAY, SERVICE_SERVER } from '../names.ts'
import { shown as text } from '../relay/console/text.ts'
import type { Row, Waterfall } from '../relay/console/waterfall.ts'

const SERVICES: Record<string, { label: string; style: 'cyan' | 'magenta' | 'yellow' }> = {
  [SERVICE_EXTENSION]: { label: 'browser', style: 'cyan' },
  [SERVICE_RELAY]: { label: 'relay', style: 'magenta' },
  [SERVICE_SERVER]: { label: 'server', style: 'yellow' },
}
const NAME_WIDTH = 42
const MIN_BAR_WIDTH = 20
const MAX_INDENT = 12
/** Lines drawn; a real run has about forty. */
const MAX_ROWS = 500

/** `82 ms`, `3.4 s`: a unit that fits. */
export function duration(ms: number): string {
  if (ms < 1) return `${ms.toFixed(1)} ms`
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`
}

/** The rows as text, at most `columns` wide (80 at least). Colour where `stream` is a terminal and NO_COLOR is unset. */
export function drawWaterfall(
  waterfall: Waterfall,
  stream: NodeJS.WriteStream,
  columns = stream.columns ?? 100,
): string {
  const barWidth = Math.max(MIN_BAR_WIDTH, Math.min(columns, 140) - NAME_WIDTH - 20)
  const lines = waterfall.rows.slice(0, MAX_ROWS).map((row) => drawRow(row, waterfall, barWidth, stream))
  const left = waterfall.rows.length - lines.length
  return [...lines, ...(left > 0 ? [`  … and ${left} more spans`] : [])].join('\n')
}

function drawRow(row: Row, { fromMs, totalMs }: Waterfall, width: number, stream: NodeJS.WriteStream): string {
  const scale = totalMs > 0 ? width / totalMs : 0
  const from = Math.min(width - 1, Math.floor((row.startMs - fromMs) * scale))
  const length = Math.max(1, Math.min(width - from, Math.round(row.durationMs * scale)))
  const bar = `${' '.repeat(from)}${'█'.repeat(length)}`.padEnd(width)
  const service = SERVICES[row.service] ?? { label: text(row.service, 40), style: 'cyan' as const }
  const name = `${'  '.repeat(Math.min(row.depth, MAX_INDENT))}${text(row.name, 120)}`
  const shown = name.length > NAME_WIDTH ? `${name.slice(0, NAME_WIDTH - 1)}…` : name.padEnd(NAME_WIDTH)
  const failed =
    row.status === 'error' ? styleText('red', `  ✗ ${text(row.failureCode ?? 'failed', 60)}`, { stream }) : ''
  const label = styleText('dim', service.label.padEnd(8), { stream })
  const style = row.status === 'error' ? 'red' : service.style
  return `  ${shown} ${label}${styleText(style, bar, { stream })}${duration(row.durationMs).padStart(8)}${failed}`
}

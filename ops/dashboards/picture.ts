/** A dashboard's JSON and the answers to its queries as a page: simple charts where Grafana has its own. */
import type { Dashboard, Panel } from '@grafana/schema'
import type { Json } from './panel.ts'
import type { Answer, Asked } from './queries.ts'

export interface Answered {
  asked: Asked
  answer: Answer
}

type Defaults = NonNullable<NonNullable<Json<Panel>['fieldConfig']>['defaults']>
interface Line {
  name: string
  values: [number, number][]
  metric: Record<string, string>
}

const HUES = [
  '#7eb26d',
  '#eab839',
  '#6ed0e0',
  '#ef843c',
  '#e24d42',
  '#1f78c1',
  '#ba43a9',
  '#705da0',
  '#508642',
  '#cca300',
]
const UNIT = 30
const GAP = 8

/** Below 768 px Grafana gives every panel the whole width, in order, and keeps its height. */
export function pageOf(dashboard: Json<Dashboard>, answered: Answered[], width: number): string {
  const phone = width < 768
  const column = (width - 2 * GAP) / 24
  let next = 0
  const drawn = (dashboard.panels ?? []).map((panel) => {
    const { x, y, w, h } = panel.gridPos ?? { x: 0, y: 0, w: 24, h: 1 }
    const place = phone
      ? `height:${h * UNIT + (h - 1) * GAP}px`
      : `position:absolute;left:${GAP + x * column}px;top:${y * (UNIT + GAP)}px;width:${w * column - GAP}px;height:${h * UNIT + (h - 1) * GAP}px`
    if (panel.type === 'row') return `<h2 style="${place}">${panel.title}</h2>`
    const own = 'targets' in panel ? (panel.targets?.length ?? 0) : 0
    const answers = answered.slice(next, next + own)
    next += own
    const size = { width: (phone ? width - 2 * GAP : w * column - GAP) - 18, height: h * UNIT + (h - 1) * GAP - 34 }
    return `<section style="${place}"><h3>${escaped(panel.title ?? '')}</h3>${bodyOf(panel as Json<Panel>, answers, size)}</section>`
  })
  const bottom = Math.max(
    ...(dashboard.panels ?? []).map(({ gridPos }) => ((gridPos?.y ?? 0) + (gridPos?.h ?? 0)) * (UNIT + GAP)),
  )
  return `<!doctype html><meta charset="utf-8"><style>
body{margin:0;background:#111217;color:#ccccdc;font:12px system-ui}main{position:relative;${phone ? `padding:0 ${GAP}px` : `height:${bottom}px`}}
section{background:#181b1f;border:1px solid #2c3235;border-radius:3px;padding:4px 8px;box-sizing:border-box;overflow:hidden;${phone ? `margin-bottom:${GAP}px` : ''}}
h1{font-size:16px;margin:8px}h2{font-size:14px;margin:0;box-sizing:border-box;padding:6px 0}h3{font-size:12px;margin:2px 0 6px;font-weight:600}
.stats{display:flex;flex-wrap:wrap;gap:4px 16px;height:100%;align-content:flex-start}.big{font-size:26px}.legend{max-height:46px;overflow:hidden}
.legend span{margin-right:10px;display:inline-block}table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:3px 6px;border-bottom:1px solid #2c3235}
.empty{display:grid;place-items:center;height:70%;color:#8e8e99}.box{position:absolute;border:2px solid;border-radius:6px;box-sizing:border-box;text-align:center}
.text{position:absolute;display:flex;align-items:center;justify-content:center;white-space:nowrap}</style><h1>${dashboard.title}</h1><main>${drawn.join('')}</main>`
}

function bodyOf(panel: Json<Panel>, answered: Answered[], size: { width: number; height: number }): string {
  const defaults = panel.fieldConfig?.defaults ?? {}
  const lines = answered.flatMap(({ asked, answer }) =>
    answer.series.map(({ metric, values }) => ({
      name: asked.name.replace(/\{\{(\w+)\}\}/g, (_, label: string) => metric[label] ?? ''),
      values: values.filter(([, value]) => Number.isFinite(value)),
      metric,
    })),
  )
  if (lines.every(({ values }) => values.length === 0))
    return `<div class="empty">${escaped(defaults.noValue ?? '')}</div>`
  if (panel.type === 'stat') return stats(lines, defaults, panel.options?.textMode === 'value_and_name')
  if (panel.type === 'bargauge') return barsOf(lines, defaults)
  if (panel.type === 'table') return tableOf(panel, answered)
  if (panel.type === 'canvas') return canvas(panel, lines, size)
  if (panel.type === 'state-timeline') return timelineOf(lines, defaults, size)
  if (panel.type === 'heatmap') return cells(lines, size)
  return chart(lines, defaults, size)
}

const last = ({ values }: Line) => values.at(-1)?.[1] ?? Number.NaN

function colorOf(value: number, { thresholds }: Defaults): string {
  const steps = thresholds?.steps ?? []
  const hues: Record<string, string> = { green: '#73bf69', orange: '#ff9830', red: '#f2495c', blue: '#5794f2' }
  return hues[steps.findLast((step) => step.value === null || value >= step.value)?.color ?? ''] ?? '#ccccdc'
}

function shown(value: number, { unit, decimals, mappings }: Defaults): string {
  const word = mappings
    ?.flatMap(({ options }) => Object.entries(options as Record<string, { text?: string }>))
    .find(([key]) => Number(key) === value)
  if (word?.[1].text) return word[1].text
  if (!Number.isFinite(value)) return '–'
  const round = (number: number) =>
    `${Number(number.toFixed(decimals ?? (Math.abs(number) < 1 ? 3 : Math.abs(number) < 100 ? 2 : 0)))}`
  const scaled = (number: number, base: number, names: string[]) => {
    const power =
      number <= 0 ? 0 : Math.min(names.length - 1, Math.max(0, Math.floor(Math.log(number) / Math.log(base))))
    return `${round(number / base ** power)}${names[power]}`
  }
  if (unit === 's')
    return value < 1 ? `${round(value * 1000)} ms` : value < 120 ? `${round(value)} s` : `${round(value / 60)} min`
  if (unit === 'percentunit') return `${round(value * 100)}%`
  if (unit === 'bytes') return scaled(value, 1024, [' B', ' KiB', ' MiB', ' GiB'])
  if (unit === 'currencyUSD') return `$${round(value)}`
  if (unit === 'dateTimeFromNow') return `${Math.round((Date.now() - value) / 60_000)} minutes ago`
  if (unit?.startsWith('suffix:')) return `${round(value)} ${unit.slice(7)}`
  return `${scaled(value, 1000, ['', ' K', ' M'])}${unit === 'reqps' ? ' req/s' : unit === 'cps' ? ' c/s' : ''}`
}

const stats = (lines: Line[], defaults: Defaults, named: boolean) =>
  `<div class="stats">${lines
    .map(
      (line) =>
        `<div>${named ? `<div>${escaped(line.name)}</div>` : ''}<div class="big" style="color:${colorOf(last(line), defaults)};font-size:${named ? 18 : 30}px">${escaped(shown(last(line), defaults))}</div></div>`,
    )
    .join('')}</div>`

function barsOf(lines: Line[], defaults: Defaults): string {
  const most = defaults.max ?? Math.max(...lines.map(last), 1e-9)
  const rows = lines.map(
    (line) =>
      `<tr><td style="width:30%">${escaped(line.name)}</td><td><div style="height:10px;width:${(last(line) / most) * 100}%;background:${colorOf(last(line), defaults)}"></div></td><td style="width:15%">${shown(last(line), defaults)}</td></tr>`,
  )
  return `<table>${rows.join('')}</table>`
}

function tableOf({ transformations = [], fieldConfig, options }: Json<Panel>, answered: Answered[]): string {
  const { renameByName = {} } = (transformations.at(-1)?.options ?? {}) as { renameByName?: Record<string, string> }
  const keys = Object.entries(renameByName).filter(([name]) => !name.startsWith('Value'))
  const columns = Object.entries(renameByName).filter(([name]) => name.startsWith('Value'))
  const rows = new Map<string, { metric: Record<string, string>; values: number[] }>()
  for (const [index, { answer }] of answered.entries()) {
    for (const { metric, values } of answer.series) {
      const key = JSON.stringify(metric)
      const row = rows.get(key) ?? { metric, values: [] }
      row.values[index] = values.at(-1)?.[1] ?? Number.NaN
      rows.set(key, row)
    }
  }
  const defaultsOf = (title: string): Defaults =>
    Object.fromEntries(
      (fieldConfig?.overrides.find(({ matcher }) => matcher.options === title)?.properties ?? []).map(
        ({ id, value }) => [id, value],
      ),
    )
  const { displayName, desc } = (options as { sortBy: { displayName: string; desc: boolean }[] }).sortBy[0] ?? {}
  const by = Math.max(
    0,
    columns.findIndex(([, title]) => title === displayName),
  )
  const sorted = [...rows.values()].sort((a, b) => ((a.values[by] ?? 0) - (b.values[by] ?? 0)) * (desc ? -1 : 1))
  const head = [...keys, ...columns].map(([, title]) => `<th>${title}</th>`).join('')
  const body = sorted.map(({ metric, values }) => {
    const names = keys.map(([label]) => `<td>${escaped(metric[label] ?? '')}</td>`)
    const cells = columns.map(([, title], index) => `<td>${shown(values[index] ?? Number.NaN, defaultsOf(title))}</td>`)
    return `<tr>${[...names, ...cells].join('')}</tr>`
  })
  return `<table><tr>${head}</tr>${body.join('')}</table>`
}

function canvas(
  { options, fieldConfig }: Json<Panel>,
  lines: Line[],
  { width, height }: { width: number; height: number },
): string {
  interface Drawn {
    name: string
    type: string
    placement: Record<'left' | 'right' | 'top' | 'bottom', number>
    border: { color: { field?: string } }
    config: { text: { fixed: string; field?: string }; size: number; color: { field?: string } }
    connections: {
      source: { x: number; y: number }
      target: { x: number; y: number }
      targetName: string
      color: { field: string }
    }[]
  }
  const { elements } = (options as { root: { elements: Drawn[] } }).root
  const failed = Object.fromEntries(
    fieldConfig?.overrides[0]?.properties.map(({ id, value }) => [id, value]) ?? [],
  ) as Defaults
  const valueOfField = (field?: string) =>
    last(lines.find(({ name }) => name === field) ?? { name: '', values: [], metric: {} })
  const hue = (field?: string) => (field ? colorOf(valueOfField(field), failed) : '#ccccdc')
  const at = ({ placement: { left, right, top, bottom } }: Drawn, { x, y }: { x: number; y: number }) => [
    ((left + (100 - left - right) * ((1 + x) / 2)) / 100) * width,
    ((top + (100 - top - bottom) * ((1 - y) / 2)) / 100) * height,
  ]
  const arrows = elements.flatMap((from) =>
    from.connections.flatMap(({ source, target, targetName, color }) => {
      const to = elements.find(({ name }) => name === targetName)
      if (!to) return []
      const [[x1, y1], [x2, y2]] = [at(from, source), at(to, target)]
      return `<line x1="${x1}" y1="${y1}" x2="${x2}" y2="${y2}" stroke="${hue(color.field)}" stroke-width="2" marker-end="url(#arrow)"/>`
    }),
  )
  const boxes = elements.map(({ type, placement: { left, right, top, bottom }, border, config }) => {
    const place = `left:${left}%;right:${right}%;top:${top}%;bottom:${bottom}%;font-size:${config.size}px`
    if (type === 'rectangle') return `<div class="box" style="${place};border-color:${hue(border.color.field)}"></div>`
    if (type === 'text') return `<div class="text" style="${place}">${config.text.fixed}</div>`
    const own = config.text.field?.endsWith(' failed')
      ? { ...fieldConfig?.defaults, ...failed }
      : (fieldConfig?.defaults ?? {})
    return `<div class="text" style="${place};color:${hue(config.color.field)}">${shown(valueOfField(config.text.field), own)}</div>`
  })
  return `<div style="position:relative;width:${width}px;height:${height}px"><svg width="${width}" height="${height}" style="position:absolute"><defs><marker id="arrow" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="5" markerHeight="5" orient="auto"><path d="M0 0 10 5 0 10z" fill="#ccccdc"/></marker></defs>${arrows.join('')}</svg>${boxes.join('')}</div>`
}

function chart(lines: Line[], defaults: Defaults, { width, height }: { width: number; height: number }): string {
  const stacked = (defaults.custom as { stacking?: { mode: string } }).stacking?.mode === 'normal'
  const plot = { left: 56, top: 4, width: width - 60, height: height - 74 }
  const times = lines.flatMap(({ values }) => values.map(([time]) => time))
  const [from, to] = [Math.min(...times), Math.max(...times, Math.min(...times) + 1)]
  const base = new Map<number, number>()
  const tops = lines.map(({ values }) =>
    values.map(([time, value]): [number, number] => {
      const top = stacked ? (base.get(time) ?? 0) + value : value
      base.set(time, top)
      return [time, top]
    }),
  )
  const most = Math.max(...tops.flat().map(([, value]) => value), 1e-9) * 1.05
  const x = (time: number) => plot.left + ((time - from) / (to - from)) * plot.width
  const y = (value: number) => plot.top + plot.height * (1 - value / most)
  const paths = tops.map(
    (values, index) =>
      `<polyline fill="none" stroke="${HUES[index % HUES.length]}" points="${values.map(([time, value]) => `${x(time).toFixed(1)},${y(value).toFixed(1)}`).join(' ')}"/>`,
  )
  const ticks = [0, 0.5, 1].map(
    (part) =>
      `<text x="${plot.left - 4}" y="${y(most * part) + 4}" text-anchor="end" fill="#8e8e99" font-size="10">${shown((most / 1.05) * part, defaults)}</text><line x1="${plot.left}" x2="${plot.left + plot.width}" y1="${y(most * part)}" y2="${y(most * part)}" stroke="#2c3235"/>`,
  )
  const dashes =
    (defaults.custom as { thresholdsStyle?: { mode: string } }).thresholdsStyle?.mode === 'dashed'
      ? (defaults.thresholds?.steps ?? [])
      : []
  const limits = dashes.flatMap(({ value }) =>
    value !== null && value <= most
      ? [
          `<line x1="${plot.left}" x2="${plot.left + plot.width}" y1="${y(value)}" y2="${y(value)}" stroke="${colorOf(value, defaults)}" stroke-dasharray="6 4"/>`,
        ]
      : [],
  )
  return `<svg width="${width}" height="${plot.height + 16}">${ticks.join('')}${limits.join('')}${paths.join('')}</svg>${legend(lines, defaults)}`
}

const legend = (lines: Line[], defaults: Defaults) =>
  `<div class="legend">${lines.map((line, index) => `<span><b style="color:${HUES[index % HUES.length]}">━</b> ${escaped(line.name)} <i>${shown(last(line), defaults)}</i></span>`).join('')}</div>`

function timelineOf(lines: Line[], defaults: Defaults, { width, height }: { width: number; height: number }): string {
  const row = Math.min(26, (height - 10) / lines.length)
  const times = lines.flatMap(({ values }) => values.map(([time]) => time))
  const [from, to] = [Math.min(...times), Math.max(...times)]
  const left = Math.min(150, width * 0.35)
  return `<svg width="${width}" height="${height}">${lines
    .map(({ name, values }, index) => {
      const step = (width - left) / Math.max(values.length, 1)
      const cells = values.map(
        ([time, value]) =>
          `<rect x="${left + ((time - from) / (to - from || 1)) * (width - left - step)}" y="${index * row}" width="${step + 0.5}" height="${row * 0.85}" fill="${colorOf(value, defaults)}"/>`,
      )
      return `<text x="${left - 6}" y="${index * row + row * 0.6}" text-anchor="end" fill="#ccccdc" font-size="11">${escaped(name)}</text>${cells.join('')}`
    })
    .join('')}</svg>`
}

function cells(lines: Line[], { width, height }: { width: number; height: number }): string {
  const rows = lines.toSorted(
    (a, b) => Number(a.metric.le?.replace('+Inf', 'Infinity')) - Number(b.metric.le?.replace('+Inf', 'Infinity')),
  )
  const below = new Map<number, number>()
  const counted = rows.map(({ name, values }) => ({
    name,
    values: values.map(([time, value]): [number, number] => {
      const own = value - (below.get(time) ?? 0)
      below.set(time, value)
      return [time, own]
    }),
  }))
  const most = Math.max(...counted.flatMap(({ values }) => values.map(([, value]) => value)), 1e-9)
  const [row, column] = [
    (height - 8) / rows.length,
    (width - 50) / Math.max(...rows.map(({ values }) => values.length)),
  ]
  return `<svg width="${width}" height="${height}">${counted
    .map(({ name, values }, index) => {
      const top = height - 8 - (index + 1) * row
      const inside = values.map(([, value], at) =>
        value > 1e-9
          ? `<rect x="${50 + at * column}" y="${top}" width="${column}" height="${row - 1}" fill="#5794f2" opacity="${Math.sqrt(value / most)}"/>`
          : '',
      )
      return `<text x="44" y="${top + row * 0.7}" text-anchor="end" fill="#8e8e99" font-size="10">${name}</text>${inside.join('')}`
    })
    .join('')}</svg>`
}

const escaped = (text: string) => text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`)

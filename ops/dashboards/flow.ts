/**
 * The way of a run as a picture: one box a hop, with how much goes through it and what part fails, and an arrow to the
 * next. A canvas panel, in every Grafana since 9. Places are per cent of the panel, so that it fits a telephone too.
 */
import type { Panel } from '@grafana/schema'
import type {
  CanvasElementOptions,
  Options as CanvasOptions,
} from '@grafana/schema/dist/esm/raw/composable/canvas/panelcfg/x/CanvasPanelCfg_types.gen'
import { orZero } from './expression.ts'
import { instant, type Json, type Limits, panel, thresholds } from './panel.ts'

export interface Hop {
  name: string
  column: number
  row: number
  /** How many a second. */
  rate: string
  /** What part of them failed, 0 to 1. */
  failed: string
  /** Names of the hops that come next. */
  next: string[]
}

type Element = Json<CanvasElementOptions>

const WIDTH = 21
const HEIGHT = 27
const LIMITS: Limits = { warning: 1, critical: 5 }

/** The panel. Columns 0 to 3, rows 0 to 2. */
export function flow(title: string, description: string, hops: Hop[]): Json<Panel> {
  const options: Json<CanvasOptions> = {
    inlineEditing: false,
    panZoom: false,
    zoomToContent: false,
    showAdvancedTypes: false,
    tooltip: { mode: 'single' },
    root: { name: title, type: 'frame', elements: hops.flatMap((hop) => elementsOf(hop, hops)) },
  }
  const queries = hops.flatMap(({ name, rate, failed }) => [
    { expr: `${orZero(rate)} * 60`, name },
    { expr: `${orZero(failed)} * 100`, name: `${name} failed` },
  ])
  const spec = { title, description, unit: 'suffix:/min' as const, limits: 'none' as const, w: 24, h: 8 }
  const made = panel('canvas', spec, { color: { mode: 'thresholds' }, decimals: 1 }, options, instant(queries))
  const overrides = [
    {
      matcher: { id: 'byRegexp', options: '/ failed$/' },
      properties: [
        { id: 'unit', value: 'suffix:% failed' },
        { id: 'thresholds', value: thresholds(LIMITS) },
      ],
    },
  ]
  return { ...made, fieldConfig: { defaults: made.fieldConfig?.defaults ?? {}, overrides } }
}

function elementsOf(hop: Hop, hops: Hop[]): Element[] {
  const failed = `${hop.name} failed`
  const box: Element = {
    name: hop.name,
    type: 'rectangle',
    ...placed(hop, 0, HEIGHT),
    background: { color: { fixed: 'transparent' } },
    border: { color: { field: failed, fixed: 'text' }, width: 2, radius: 6 },
    config: text({ mode: 'fixed', fixed: '' }, { fixed: 'text' }, 13),
    connections: hops.filter(({ name }) => hop.next.includes(name)).map((other) => arrow(hop, other)),
  }
  const line = (part: string, third: number, config: object): Element => ({
    name: `${hop.name}: ${part}`,
    type: part === 'name' ? 'text' : 'metric-value',
    ...placed(hop, 1 + (third * (HEIGHT - 2)) / 3, (HEIGHT - 2) / 3),
    background: { color: { fixed: 'transparent' } },
    border: { color: { fixed: 'transparent' }, width: 0 },
    config,
    connections: [],
  })
  return [
    box,
    line('name', 0, text({ mode: 'fixed', fixed: hop.name }, { fixed: 'text' }, 13)),
    line('rate', 1, text({ mode: 'field', field: hop.name, fixed: '' }, { fixed: 'text' }, 12)),
    line('failed', 2, text({ mode: 'field', field: failed, fixed: '' }, { field: failed, fixed: 'text' }, 11)),
  ]
}

function placed({ column, row }: Hop, from: number, height: number): Pick<Element, 'constraint' | 'placement'> {
  const left = 1 + column * ((98 - WIDTH) / 3)
  const top = 1 + row * ((98 - HEIGHT) / 2) + from
  const round = (value: number) => Number(value.toFixed(2))
  return {
    constraint: { horizontal: 'scale', vertical: 'scale' },
    placement: {
      left: round(left),
      right: round(100 - left - WIDTH),
      top: round(top),
      bottom: round(100 - top - height),
      rotation: 0,
    },
  }
}

const text = (text: object, color: object, size: number) => ({ text, color, size, align: 'center', valign: 'middle' })

/** From the side of one box that faces the other; its colour is how the other fares. */
function arrow(from: Hop, to: Hop): NonNullable<Element['connections']>[number] {
  const x = Math.sign(to.column - from.column)
  const y = Math.sign(from.row - to.row)
  // Of a box its middle is 0, its edges are 1 and -1, and up is positive.
  const [source, target] =
    x !== 0
      ? [
          { x, y: 0 },
          { x: -x, y: 0 },
        ]
      : [
          { x: 0, y },
          { x: 0, y: -y },
        ]
  return {
    source,
    target,
    targetName: to.name,
    path: 'straight',
    color: { field: `${to.name} failed`, fixed: 'text' },
    size: { fixed: 2, min: 1, max: 4 },
  }
}

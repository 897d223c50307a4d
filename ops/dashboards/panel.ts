/**
 * The kinds of panel that the dashboards are made of, as Grafana keeps them. Every one has a unit, thresholds and a
 * description, says what it means when it is empty, and is at most 8 units high: a telephone shows one after another.
 *
 * Plain objects under Grafana's published types (`@grafana/schema`), and not its builders (`grafana-foundation-sdk`), which
 * leave out IDs of panels and queries, hide legends, and are typed by a schema of their own.
 */
import type { FieldConfig, Panel } from '@grafana/schema'
import type { Options as BarOptions } from '@grafana/schema/dist/esm/raw/composable/bargauge/panelcfg/x/BarGaugePanelCfg_types.gen'
import type { Options as HeatmapOptions } from '@grafana/schema/dist/esm/raw/composable/heatmap/panelcfg/x/HeatmapPanelCfg_types.gen'
import type { Options as StatOptions } from '@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen'
import type {
  FieldConfig as TimelineField,
  Options as TimelineOptions,
} from '@grafana/schema/dist/esm/raw/composable/statetimeline/panelcfg/x/StateTimelinePanelCfg_types.gen'
import type {
  FieldConfig as GraphField,
  Options as GraphOptions,
} from '@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen'

/** What a type looks like as JSON: an enum's members are their values. */
export type Json<T> = T extends string
  ? `${T}`
  : T extends readonly (infer Each)[]
    ? Json<Each>[]
    : T extends object
      ? { [Key in keyof T]: Json<T[Key]> }
      : T

/** Of Grafana's units, those in use. */
export type Unit =
  | 'short'
  | 's'
  | 'bytes'
  | 'percentunit'
  | 'reqps'
  | 'cps'
  | 'currencyUSD'
  | 'dateTimeFromNow'
  | 'none'
  | `suffix:${string}`

/** From where on a value is of concern: above the two, or, where `falling`, below them. `NONE` where no value is bad. */
export interface Limits {
  warning: number
  critical: number
  falling?: true
}
export const NONE = 'none'

export interface Query {
  expr: string
  /** The legend: a text with `{{label}}`. */
  name: string
  /** Has a point open its trace. */
  exemplars?: true
}

export interface Spec {
  title: string
  /** What it shows, and what to do about it: a person on call reads it at night. */
  description: string
  unit: Unit
  limits: Limits | typeof NONE
  /** What it means when there is nothing to show. */
  empty?: string
  /** Of 24; on a telephone every panel is as wide as the screen. */
  w?: number
  h?: number
  /** Where a click leads. */
  links?: Link[]
  max?: number
  /** Texts for values, e.g. 0: down. */
  words?: Record<string, { text: string; color: string }>
}

export interface Link {
  title: string
  url: string
}

export const DATASOURCE = { type: 'prometheus', uid: `\${datasource}` }

/** A line for each series. `stacked` where the sum means something. */
export function graph(spec: Spec & { queries: Query[]; stacked?: true; bars?: true }): Json<Panel> {
  const { queries, stacked, bars, limits } = spec
  const custom: Json<GraphField> = {
    drawStyle: bars ? 'bars' : 'line',
    lineWidth: 1,
    fillOpacity: bars ? 80 : stacked ? 40 : 8,
    showPoints: 'never',
    spanNulls: false,
    axisSoftMin: 0,
    stacking: { mode: stacked ? 'normal' : 'none', group: 'A' },
    thresholdsStyle: { mode: limits === NONE || stacked ? 'off' : 'dashed' },
  }
  const options: Json<GraphOptions> = {
    legend: { showLegend: true, displayMode: 'list', placement: 'bottom', calcs: ['lastNotNull'] },
    tooltip: { mode: 'multi', sort: 'desc' },
  }
  return panel('timeseries', spec, { color: { mode: 'palette-classic-by-name' }, custom }, options, ranged(queries))
}

/** One figure, or a few, readable from across the room. */
export function stat(spec: Spec & { queries: Query[]; spark?: true; decimals?: number }): Json<Panel> {
  const { queries, spark, decimals } = spec
  const options: Json<StatOptions> = {
    colorMode: 'value',
    graphMode: spark ? 'area' : 'none',
    justifyMode: 'auto',
    orientation: 'auto',
    percentChangeColorMode: 'standard',
    reduceOptions: { values: false, calcs: ['lastNotNull'], fields: '' },
    showPercentChange: false,
    textMode: queries.length > 1 || queries[0]?.name.includes('{{') ? 'value_and_name' : 'value',
    wideLayout: true,
  }
  const defaults = { color: { mode: 'thresholds' as const }, ...(decimals === undefined ? {} : { decimals }) }
  return panel('stat', spec, defaults, options, spark ? ranged(queries) : instant(queries))
}

/** A bar for each value, the names beside them. */
export function bars(spec: Spec & { queries: Query[] }): Json<Panel> {
  const options: Json<BarOptions> = {
    displayMode: 'basic',
    legend: { showLegend: false, displayMode: 'list', placement: 'bottom', calcs: [] },
    maxVizHeight: 32,
    minVizHeight: 12,
    minVizWidth: 8,
    namePlacement: 'left',
    orientation: 'horizontal',
    reduceOptions: { values: false, calcs: ['lastNotNull'], fields: '' },
    showUnfilled: true,
    sizing: 'auto',
    valueMode: 'color',
  }
  return panel('bargauge', spec, { color: { mode: 'thresholds' }, min: 0 }, options, instant(spec.queries))
}

/** How many took how long: the darker, the more. `query` asks for a histogram's buckets by `le`. */
export function heatmap(spec: Spec & { query: string; cells: string }): Json<Panel> {
  const options: Json<HeatmapOptions> = {
    calculate: false,
    cellGap: 1,
    cellValues: { unit: 'short', decimals: 1 },
    color: {
      mode: 'scheme',
      scheme: 'Blues',
      steps: 32,
      exponent: 0.5,
      scale: 'exponential',
      fill: 'blue',
      reverse: false,
    },
    exemplars: { color: 'rgba(255,0,255,0.7)' },
    filterValues: { le: 1e-9 },
    legend: { show: true },
    rowsFrame: { layout: 'auto', value: spec.cells },
    showValue: 'never',
    tooltip: { mode: 'single', yHistogram: true, showColorScale: true },
    yAxis: { axisPlacement: 'left', unit: spec.unit, reverse: false },
  }
  const targets = ranged([{ expr: spec.query, name: '{{le}}', exemplars: true }]).map((target) => ({
    ...target,
    format: 'heatmap',
  }))
  // Some hundred columns are enough to see a shape, and each is a query's step.
  return { ...panel('heatmap', spec, { custom: {} }, options, targets), maxDataPoints: 120 }
}

/** What was in which state when, one row a series, from cause to effect. */
export function timeline(spec: Spec & { queries: Query[] }): Json<Panel> {
  const custom: Json<TimelineField> = { fillOpacity: 75, lineWidth: 0 }
  const options: Json<TimelineOptions> = {
    alignValue: 'center',
    legend: { showLegend: true, displayMode: 'list', placement: 'bottom', calcs: [] },
    mergeValues: true,
    rowHeight: 0.85,
    showValue: 'never',
    tooltip: { mode: 'multi', sort: 'none' },
  }
  const made = panel('state-timeline', spec, { color: { mode: 'thresholds' }, custom }, options, ranged(spec.queries))
  return { ...made, maxDataPoints: 200 }
}

/** What all kinds share. */
export function panel(
  type: string,
  { title, description, unit, limits, empty, w = 12, h = 8, links, max, words }: Spec,
  defaults: Json<FieldConfig>,
  options: object,
  targets: Record<string, unknown>[],
): Json<Panel> {
  return {
    type,
    title,
    description,
    datasource: DATASOURCE,
    gridPos: { x: 0, y: 0, w, h },
    fieldConfig: {
      defaults: {
        ...defaults,
        unit,
        thresholds: thresholds(limits),
        noValue: empty ?? 'nothing in this time',
        ...(max === undefined ? {} : { max }),
        ...(links ? { links } : {}),
        ...(words ? { mappings: [{ type: 'value', options: words }] } : {}),
      },
      overrides: [],
    },
    options: { ...options },
    targets,
  }
}

export function thresholds(limits: Limits | typeof NONE): NonNullable<Json<FieldConfig>['thresholds']> {
  if (limits === NONE) return { mode: 'absolute', steps: [{ color: 'blue', value: null }] }
  const { warning, critical, falling } = limits
  const [low, high] = falling ? [critical, warning] : [warning, critical]
  const colors = falling ? ['red', 'orange', 'green'] : ['green', 'orange', 'red']
  return {
    mode: 'absolute',
    steps: [null, low, high].map((value, index) => ({ color: colors[index] ?? 'text', value })),
  }
}

/** Queries over the time that is shown. */
const ranged = (queries: Query[]) => queries.map((query, index) => target(query, index, { range: true }))
/** Queries for now only: far cheaper, where no course is drawn. */
export const instant = (queries: Query[]) =>
  queries.map((query, index) => target(query, index, { instant: true, range: false }))

function target({ expr, name, exemplars }: Query, index: number, kind: { instant?: true; range: boolean }) {
  return {
    refId: String.fromCharCode(65 + (index % 26)).repeat(1 + Math.floor(index / 26)),
    datasource: DATASOURCE,
    editorMode: 'code',
    expr,
    legendFormat: name,
    ...kind,
    ...(exemplars ? { exemplar: true } : {}),
  }
}

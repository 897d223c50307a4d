/** The kind of panel that is a table: what Prometheus answers to several queries, joined by their labels. */
import type { Panel } from '@grafana/schema'
import type {
  FieldConfig as TableField,
  Options as TableOptions,
} from '@grafana/schema/dist/esm/raw/composable/table/panelcfg/x/TablePanelCfg_types.gen'
import { instant, type Json, type Limits, type Link, panel, type Spec, thresholds, type Unit } from './panel.ts'

export interface Column {
  expr: string
  title: string
  unit: Unit
  limits?: Limits
}

/** A line for each set of the labels in `keys` (label: heading), a column for each query. */
export function table(
  spec: Omit<Spec, 'unit'> & {
    keys: Record<string, string>
    columns: Column[]
    /** The column by which lines are in order; the largest first, unless `ascending`. The first column without it. */
    sortBy?: string
    ascending?: true
    /** A label's cells as links. */
    keyLinks?: Record<string, Link>
  },
): Json<Panel> {
  const { keys, columns, keyLinks = {} } = spec
  const custom: Json<TableField> = { align: 'auto', cellOptions: { type: 'auto' }, inspect: false }
  const options: Json<TableOptions> = {
    cellHeight: 'sm',
    frameIndex: 0,
    showHeader: true,
    sortBy: [{ displayName: spec.sortBy ?? columns[0]?.title ?? '', desc: !spec.ascending }],
  }
  const targets = instant(columns.map(({ expr }) => ({ expr, name: '' }))).map((target) => ({
    ...target,
    format: 'table',
  }))
  // One query's value is called otherwise than those of several.
  const columnOf = (index: number) => (columns.length === 1 ? 'Value' : `Value #${targets[index]?.refId}`)
  const values = columns.map(({ title }, index) => [columnOf(index), title] as const)
  const order = [...Object.keys(keys), ...values.map(([value]) => value)]
  const made = panel('table', { ...spec, unit: 'none' }, { color: { mode: 'thresholds' }, custom }, options, targets)
  const overrides = [
    ...columns.map(({ title, unit, limits }) => ({
      matcher: { id: 'byName', options: title },
      properties: [
        { id: 'unit', value: unit },
        ...(limits
          ? [
              { id: 'thresholds', value: thresholds(limits) },
              { id: 'custom.cellOptions', value: { type: 'color-text' } },
            ]
          : []),
      ],
    })),
    ...Object.entries(keyLinks).map(([label, link]) => ({
      matcher: { id: 'byName', options: keys[label] },
      properties: [{ id: 'links', value: [{ ...link, targetBlank: true }] }],
    })),
  ]
  return {
    ...made,
    ...(made.fieldConfig ? { fieldConfig: { ...made.fieldConfig, overrides } } : {}),
    transformations: [
      { id: 'merge', options: {} },
      {
        id: 'organize',
        options: {
          excludeByName: { Time: true },
          indexByName: Object.fromEntries(order.map((name, index) => [name, index])),
          renameByName: Object.fromEntries([...Object.entries(keys), ...values]),
        },
      },
    ],
  }
}

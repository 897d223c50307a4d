/** What the four dashboards share: variables, links to one another and to the support console, and the grid. */
import type { Dashboard, Panel, VariableModel } from '@grafana/schema'
import { METRICS } from '../../metric-names.ts'
import { DATASOURCE, type Json, type Link } from './panel.ts'

export const NAMES = ['overview', 'performance', 'errors', 'resources'] as const
export type Name = (typeof NAMES)[number]

const TITLES: Record<Name, string> = {
  overview: 'PASS ATS: overview',
  performance: 'PASS ATS: performance',
  errors: 'PASS ATS: errors',
  resources: 'PASS ATS: resources',
}

/** Panels under a heading, in order of importance: on a telephone they stand one below the other. */
export interface Section {
  heading: string
  panels: Json<Panel>[]
}

const COLUMNS = 24
/** Processes of a version that was not there five minutes before. */
const RELEASED = `${METRICS.buildInfo.name} unless ${METRICS.buildInfo.name} offset 5m`
/** What a link takes along. */
const CARRIED = `\${__url_time_range}&\${__all_variables}`
const SUPPORT = `\${support}/support`

/** A link from a panel to another dashboard, with the time range and the variables that are set. */
export const toDashboard = (name: Name): Link => ({
  title: `Open ${name}`,
  url: `/d/pass-ats-${name}?${CARRIED}`,
})

/** A link to where runs are looked up, with the time range and the variables that are set. */
export const TO_CONSOLE: Link = {
  title: 'Look a run up in the support console',
  url: `${SUPPORT}?${CARRIED}`,
}

/** A dashboard of these sections. Panels fill the grid from left to right and flow onto the next line. */
export function board(name: Name, description: string, sections: Section[]): Json<Dashboard> {
  const panels: NonNullable<Json<Dashboard>['panels']> = []
  let y = 0
  for (const { heading, panels: inside } of sections) {
    panels.push({
      type: 'row',
      id: panels.length + 1,
      title: heading,
      collapsed: false,
      gridPos: { x: 0, y, w: COLUMNS, h: 1 },
      panels: [],
    })
    y += 1
    let x = 0
    let tallest = 0
    for (const panel of inside) {
      const { w = COLUMNS, h = 8 } = panel.gridPos ?? {}
      if (x + w > COLUMNS) {
        y += tallest
        x = 0
        tallest = 0
      }
      panels.push({ ...panel, id: panels.length + 1, gridPos: { x, y, w, h } })
      x += w
      tallest = Math.max(tallest, h)
    }
    y += tallest
  }
  return {
    uid: `pass-ats-${name}`,
    title: TITLES[name],
    description,
    tags: ['pass-ats'],
    schemaVersion: 41,
    version: 1,
    editable: true,
    graphTooltip: 1,
    refresh: '30s',
    time: { from: 'now-6h', to: 'now' },
    timepicker: { refresh_intervals: ['10s', '30s', '1m', '5m'] },
    timezone: 'browser',
    annotations: {
      list: [
        annotation('Alerts', 'red', 'ALERTS{alertstate="firing"}', '{{alertname}}'),
        annotation('Releases', 'blue', RELEASED, '{{service}} {{version}}'),
      ],
    },
    links: [
      ...NAMES.filter((other) => other !== name).map((other) => link(other, `/d/pass-ats-${other}`, TITLES[other])),
      link('support console', SUPPORT, TO_CONSOLE.title),
    ],
    templating: { list: variables() },
    panels,
  }
}

function annotation(name: string, iconColor: string, expr: string, titleFormat: string) {
  const target = { refId: name, expr, interval: '60s' }
  // What only Prometheus knows is not in the types, which are of all data sources.
  return { name, enable: true, iconColor, datasource: DATASOURCE, target, titleFormat }
}

function link(title: string, url: string, tooltip: string) {
  const way = { type: 'link' as const, icon: 'external link', asDropdown: false, targetBlank: false, tags: [] }
  return { title, url, tooltip, ...way, keepTime: true, includeVars: true }
}

function variables(): Json<VariableModel>[] {
  const info = METRICS.buildInfo.name
  const asked = (name: string, label: string, query: string, description: string): Json<VariableModel> => ({
    name,
    label,
    description,
    type: 'query',
    datasource: DATASOURCE,
    query: { query, refId: name },
    refresh: 2,
    sort: 1,
    multi: true,
    includeAll: true,
    allValue: '.*',
    current: { text: 'All', value: '$__all' },
  })
  const typed = (name: string, label: string, value: string, description: string): Json<VariableModel> => ({
    name,
    label,
    description,
    type: 'textbox',
    query: value,
    current: { text: value, value },
    // Above the panels there is room for what is changed often; these are set once.
    hide: 3,
  })
  const whose = [
    { text: 'people', value: 'false', selected: true },
    { text: 'synthetic checks', value: 'true', selected: false },
    { text: 'both', value: '.*', selected: false },
  ]
  return [
    { name: 'datasource', label: 'data source', type: 'datasource', query: 'prometheus', refresh: 1 },
    asked('service', 'service', `label_values(${info}, service)`, 'Relay, server or synthetic checks.'),
    asked(
      'version',
      'version',
      `label_values(${info}{service=~"$service"}, version)`,
      'The processes that had this version.',
    ),
    {
      name: 'synthetic',
      label: 'traffic of',
      description: 'Objectives and alerts count people only.',
      type: 'custom',
      query: whose.map(({ text, value }) => `${text} : ${value}`).join(','),
      options: whose,
      current: { text: 'people', value: 'false' },
    },
    typed('support', 'support console', 'http://127.0.0.1:4318', 'Where the relay is, as your browser reaches it.'),
    typed(
      'runbooks',
      'runbooks',
      'http://127.0.0.1:9467/runbooks',
      'Where the documents of ops/alerts are, as your browser reaches them.',
    ),
    typed('price_input', 'USD for a million tokens read', '0.25', 'What the provider takes for input.'),
    typed('price_output', 'USD for a million tokens written', '2.00', 'What the provider takes for output.'),
  ]
}

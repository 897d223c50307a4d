/** Shows a delivered PDF: `resume.html#<run ID>`. */

import { readDelivered } from '../delivered.ts'
import { part } from '../pages.ts'

let shownUrl: string | undefined

async function show(): Promise<void> {
  const runId = location.hash.slice(1)
  const delivered = /^[0-9a-f]{32}$/.test(runId) ? await readDelivered(runId) : undefined
  if (shownUrl) URL.revokeObjectURL(shownUrl)
  shownUrl = delivered && URL.createObjectURL(delivered.blob)

  const name = delivered?.fileName ?? 'Resume'
  document.title = name
  part('file-name', HTMLElement).textContent = name
  const download = part('download', HTMLAnchorElement)
  download.hidden = !delivered
  download.download = name
  const frame = part('pdf', HTMLIFrameElement)
  frame.hidden = !delivered
  part('gone', HTMLElement).hidden = Boolean(delivered)
  if (!shownUrl) return
  download.href = shownUrl
  // An iframe, not <embed> or <object>: those fall under object-src 'self', which leaves blob: out.
  frame.src = `${shownUrl}#navpanes=0` // one or two pages need no thumbnails; viewers that don't know it ignore it
}

addEventListener('hashchange', show)
await show()

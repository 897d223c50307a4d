/** Plain text of markup: one line for each paragraph, heading or list item; list items start with `- `. */

/** Elements that begin and end a line. A content script could ask for computed styles; that would force a layout. */
const BLOCKS = new Set(
  `ADDRESS ARTICLE ASIDE BLOCKQUOTE BR CAPTION DD DETAILS DIV DL DT FIELDSET FIGCAPTION FIGURE FOOTER FORM H1 H2 H3 H4
  H5 H6 HEADER HR LI MAIN NAV OL P PRE SECTION SUMMARY TABLE TBODY TFOOT THEAD TR UL`.split(/\s+/),
)
/** Elements whose content is not read as text. */
const SILENT = new Set(
  `AUDIO BUTTON CANVAS DATALIST EMBED HEAD IFRAME INPUT MATH NOSCRIPT OBJECT OPTION SCRIPT SELECT STYLE SVG TEMPLATE
  TEXTAREA VIDEO`.split(/\s+/),
)
const BLOCK_TAG = /<(?:br|p|div|li|ul|ol|h[1-6]|tr|section)\b/i
const TAG = /<\/?[a-z][^<>]*>/i

/** Most nodes and characters looked at in one element: about three times the longest description we keep. */
const MAX_NODES = 60_000
const MAX_CHARACTERS = 150_000

const SHOW_ELEMENTS_AND_TEXT = 0x1 | 0x4 // NodeFilter is a global of the page's realm, not of a test's
const TEXT_NODE = 3

/** Text on one line: spaces collapsed, invisible characters gone, at most `max` UTF-16 units. */
export function oneLine(text: string, max: number): string {
  return clip(visible(text).replace(/\s+/g, ' ').trim(), max)
}

/** Text on several lines: each as in {@link oneLine}, empty ones dropped, at most `max` UTF-16 units in all. */
export function severalLines(text: string, max: number): string {
  const lines = visible(text.slice(0, MAX_CHARACTERS))
    .split(/[\n\r\u2028\u2029]+/)
    .map((line) => line.replace(/\s+/g, ' ').trim())
    // Postings draw their bullets with many glyphs; a reader of plain text needs one.
    .map((line) => line.replace(/^(?:- )?[•●▪◦‣∙·]\s*/, '- '))
    .filter((line) => line !== '' && line !== '-')
  return clip(lines.join('\n'), max)
}

/**
 * The text of an element, a line for each block. Hidden parts, scripts, buttons and form fields are left out. Walks
 * without recursion and stops after a bounded number of nodes and characters, so that any page can be given to it.
 */
export function elementText(root: Node, document: Document): string {
  // A TreeWalker, not `firstChild`: a form may hold a field named `firstChild`, which would then be what it answers.
  const walker = document.createTreeWalker(root, SHOW_ELEMENTS_AND_TEXT)
  const lines: string[] = []
  let line = ''
  let marker = ''
  let preformatted = 0
  let characters = 0

  const endLine = () => {
    if (line.trim() === '') return
    lines.push(marker + line.trim())
    line = ''
    marker = ''
  }
  const enter = (node: Node): boolean => {
    if (node.nodeType === TEXT_NODE) {
      const text = node.nodeValue ?? ''
      characters += text.length
      line += preformatted > 0 ? text : text.replace(/\s+/g, ' ')
      return false
    }
    const name = String(node.nodeName).toUpperCase()
    if (SILENT.has(name) || hidden(node as Element)) return false
    if (BLOCKS.has(name)) endLine()
    if (name === 'LI') marker = '- '
    if (name === 'TD' || name === 'TH') line += ' '
    if (name === 'PRE') preformatted++
    return true
  }
  const leave = (node: Node) => {
    const name = String(node.nodeName).toUpperCase()
    if (BLOCKS.has(name)) endLine()
    if (name === 'LI') marker = ''
    if (name === 'PRE') preformatted--
  }

  for (let nodes = 0; nodes < MAX_NODES && characters < MAX_CHARACTERS; nodes++) {
    const entered = enter(walker.currentNode)
    if (entered && walker.firstChild()) continue
    if (entered) leave(walker.currentNode)
    while (walker.currentNode !== root && !walker.nextSibling()) {
      if (!walker.parentNode()) break
      leave(walker.currentNode)
    }
    if (walker.currentNode === root) break
  }
  endLine()
  return lines.join('\n')
}

/**
 * The text of a string that may be HTML, HTML whose tags are themselves entity-encoded (once or twice, as feeds do),
 * or plain text with line breaks. Parsed in a document of its own, which loads nothing and runs nothing. `document`
 * must belong to a window.
 */
export function htmlText(html: string, document: Document): string {
  const view = document.defaultView
  if (!view) throw new TypeError('The document has no window to parse HTML with')
  let source = html.slice(0, 2 * MAX_CHARACTERS)
  for (let pass = 0; pass < 2 && !TAG.test(source) && /&(?:amp;)*lt;/i.test(source); pass++)
    source = decoded(source, view)
  // Without a single block in it, what separates the lines is the line breaks, as in plain text.
  if (!BLOCK_TAG.test(source)) source = source.replace(/\r\n?|\n/g, '<br>')
  const parsed = new view.DOMParser().parseFromString(source, 'text/html')
  return elementText(parsed.body, parsed)
}

function decoded(text: string, view: Window & typeof globalThis): string {
  return new view.DOMParser().parseFromString(text, 'text/html').body.textContent ?? ''
}

function hidden(element: Element): boolean {
  if (typeof element.getAttribute !== 'function') return false // a form with a field of that name
  if (element.getAttribute('hidden') !== null) return true
  if (/(?:^|\s)(?:visually-hidden|sr-only)(?:\s|$)/.test(element.getAttribute('class') ?? '')) return true
  return /display\s*:\s*none/i.test(element.getAttribute('style') ?? '')
}

/** Without control, zero-width, soft-hyphen and bidirectional formatting characters, and without lone surrogates. */
function visible(text: string): string {
  return text
    .toWellFormed()
    .replace(/[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]/g, '')
    .replace(/[\p{Cc}--[\t\n\r]]/gv, ' ')
}

function clip(text: string, max: number): string {
  if (text.length <= max) return text
  const inPair = (text.codePointAt(max - 1) ?? 0) > 0xffff // the cut would halve a surrogate pair
  return text.slice(0, inPair ? max - 1 : max).trimEnd()
}

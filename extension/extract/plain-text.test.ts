import { expect, test } from 'vitest'
import { pageOf } from '../../fixtures/postings/saved-page.ts'
import { elementText, htmlText, oneLine, severalLines } from './plain-text.ts'

const { document } = pageOf('')

test.each([
  [
    'paragraphs and headings stand on lines of their own',
    '<h2>Lamps</h2><p>Oil <b>them</b>.</p>Then sleep.',
    'Lamps\nOil them.\nThen sleep.',
  ],
  [
    'list items are marked',
    '<ul><li>Oil</li><li><p>Wick</p><p>and trim</p></li><li>Fog<ul><li>Horn</li></ul></li></ul>',
    '- Oil\n- Wick\nand trim\n- Fog\n- Horn',
  ],
  ['a break ends a line', 'Oil<br>Wick<br/><br>Fog', 'Oil\nWick\nFog'],
  [
    'cells of a row are kept apart',
    '<table><tr><th>Shift</th><td>Night</td></tr><tr><td>Pay</td><td>Fair</td></tr></table>',
    'Shift Night\nPay Fair',
  ],
  ['line breaks of the source are spaces', '<p>Oil\n   the&nbsp;\tlamp</p>', 'Oil the lamp'],
  ['preformatted lines are kept', '<pre>Oil\nWick</pre>', 'Oil\nWick'],
  [
    'what is hidden or works the page is left out',
    '<p>Oil<script>1</script><style>a</style><button>More</button></p><p hidden>x</p><p style="display: none">y</p><span class="a sr-only">z</span>',
    'Oil',
  ],
  ['a word is not broken by its markup', '<p>light<em>house</em></p>', 'lighthouse'],
])('%s', (_, html, text) => {
  expect(severalLines(htmlText(html, document), 1_000)).toBe(text)
})

test('invisible characters go, and lone surrogates with them', () => {
  expect(oneLine('\u202eOil\u200b\u00ad the\u00a0\u2003\u0000lamp\ufeff \ud83d', 100)).toBe('Oil the lamp \ufffd')
})

test('a cut never halves a character', () => {
  expect(oneLine('oil🪔', 4)).toBe('oil')
  expect(oneLine('oil🪔', 5)).toBe('oil🪔')
  expect(oneLine('oil 🪔🪔', 4)).toBe('oil')
})

test('an element is read from itself downwards only', () => {
  const page = pageOf('<p>before</p><div id="x">in<p>side</p></div><p>after</p>')
  expect(elementText(page.document.querySelector('#x') as Element, page.document)).toBe('in\nside')
})

test('HTML is parsed where it can run and load nothing', () => {
  const page = pageOf('')
  htmlText('<p>x</p><img src="x" onerror="globalThis.ran = true"><script>globalThis.ran = true</script>', page.document)
  expect(page.document.querySelectorAll('img, script')).toHaveLength(0)
  expect(globalThis).not.toHaveProperty('ran')
})

import { expect, test } from 'vitest'
import { layOut } from '../relay/console/waterfall.ts'
import { sampleRequest, sampleSpan } from '../relay/sample-run.ts'
import { drawWaterfall } from './terminal-waterfall.ts'

test('What a span is called cannot move the cursor, turn the text, or fill the terminal', () => {
  const spans = Array.from({ length: 600 }, (_, n) => sampleSpan((n + 1).toString(16).padStart(16, '0')))
  const hostile = sampleSpan('00000000000000ff', { name: `\u001b[2J\u202e${'x'.repeat(100_000)}` })
  const drawn = drawWaterfall(layOut(sampleRequest([hostile, ...spans], '\u001b]0;x\u0007')), process.stdout, 100)
  for (const code of ['\u202e', '\u001b[2J', '\u001b]', '\u0007']) expect(drawn).not.toContain(code)
  expect(drawn.split('\n')).toHaveLength(501)
  expect(drawn).toContain('… and 100 more spans')
})

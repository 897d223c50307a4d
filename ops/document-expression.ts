/** Expressions evaluated in a document, for the drivers of both browsers. */

/** The element with this `data-testid`, or null. */
export const element = (testId: string) => `document.querySelector('[data-testid=${JSON.stringify(testId)}]')`

/** The element's text, once it is there and visible and has one; falsy until then. */
export const visibleText = (testId: string) =>
  `(e => e && e.checkVisibility() && e.innerText.trim())(${element(testId)})`

/** Where a hand would press the element, once it is there, visible and enabled; it is scrolled into view. */
export const pressPoint = (testId: string) => `(e => {
  if (!e || !e.checkVisibility() || e.disabled || e.ariaDisabled === 'true') return undefined
  e.scrollIntoView({ block: 'center', behavior: 'instant' })
  const r = e.getBoundingClientRect()
  return { x: r.x + r.width / 2, y: r.y + r.height / 2 }
})(${element(testId)})`

/**
 * A promise of the expression's value, once it is truthy: it is evaluated again at every change of the document, and
 * what it throws counts as not yet. Rejects after `timeoutMs`, quoting the expression and the document's text.
 */
export function untilTrue(expression: string, timeoutMs: number): string {
  const timedOut = `'Timed out: ' + ${JSON.stringify(expression)} + ' in: ' + document.body.innerText`
  return `new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error(${timedOut})), ${timeoutMs})
    const observer = new MutationObserver(look)
    function look() {
      const value = (() => { try { return ${expression} } catch { return undefined } })()
      if (!value) return
      clearTimeout(late); observer.disconnect(); resolve(value)
    }
    observer.observe(document, { subtree: true, childList: true, attributes: true, characterData: true })
    look()
  })`
}

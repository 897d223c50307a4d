/** What popup, options and resume page share beside `pages.css`: finding their own elements. */

/**
 * The element with this `data-testid`, as the given class. Scripts and browser tests find elements by the same name,
 * so a rename that forgets one of them fails at once. Throws naming the element when the page has no such one.
 */
export function part<T extends Element>(name: string, type: new () => T): T {
  const element = document.querySelector(`[data-testid="${name}"]`)
  if (!(element instanceof type)) throw new Error(`This page has no ${type.name} with data-testid="${name}".`)
  return element
}

// Runs on every page of the console. Without it everything is there but copying, and a page that follows a run by itself.

const announcement = document.querySelector('#announcement')

/** Says a thing to those who do not see the page; the same twice is said twice. */
function announce(text) {
  announcement.textContent = ''
  requestAnimationFrame(() => {
    announcement.textContent = text
  })
}

/** Shows the buttons that work now, because this runs. */
function enable(within) {
  for (const button of within.querySelectorAll('[data-copy]')) button.hidden = false
}

async function copy(button) {
  const source = document.getElementById(button.dataset.copy)
  const label = button.textContent
  try {
    await navigator.clipboard.writeText(source.textContent.trim())
    button.textContent = 'Copied'
    announce('Copied')
  } catch {
    // Not allowed here, or not over TLS: it is selected, for the keys to copy it.
    getSelection().selectAllChildren(source)
    button.textContent = 'Selected: press Ctrl C'
    announce('Selected')
  }
  setTimeout(() => {
    button.textContent = label
  }, 2_000)
}

/** The page as it is now, in place of what it was; what is open stays open, and the focus where it is. */
async function refresh() {
  const answer = await fetch(location.href, { headers: { accept: 'text/html' } })
  if (!answer.ok || answer.redirected) return false
  const next = new DOMParser().parseFromString(await answer.text(), 'text/html').querySelector('#main')
  if (!next) return false
  const main = document.querySelector('#main')
  const open = [...main.querySelectorAll('details[open][id]')].map(({ id }) => id)
  const focused = document.activeElement?.closest('details[id]')?.id
  for (const id of open) next.querySelector(`#${CSS.escape(id)}`)?.setAttribute('open', '')
  const said = main.querySelector('h1')?.textContent.trim()
  main.replaceChildren(...next.childNodes)
  enable(main)
  if (focused) document.getElementById(focused)?.querySelector('summary')?.focus({ preventScroll: true })
  const says = main.querySelector('h1')?.textContent.trim()
  document.title = document.title.replace(/^[^:]*/, main.querySelector('.verdict')?.classList[1] ?? '$&')
  if (says !== said) announce(says)
  return Boolean(main.querySelector('[data-live]'))
}

function follow() {
  const live = document.querySelector('[data-live]')
  if (!live) return
  const events = new EventSource(live.dataset.live)
  events.addEventListener('changed', async () => {
    if (!(await refresh())) events.close()
  })
  // The server has said that it is over; an EventSource would ask again for ever.
  events.addEventListener('over', () => events.close())
}

document.addEventListener('click', (event) => {
  const button = event.target.closest?.('[data-copy]')
  if (button) copy(button)
})
enable(document)
follow()

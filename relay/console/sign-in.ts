/** The page on which staff sign in. */
import { html } from 'hono/html'
import { type Html, page } from './page.ts'

/** `to` is where it leads; `problem` says why the last try did not. */
export function signInPage(to: string, problem?: string): Html {
  return page(
    { title: 'Sign in' },
    html`<h1>Sign in</h1>
${problem ? html`<p class="notice" role="alert">${problem}</p>` : ''}
<form class="look-up" action="/support/sign-in" method="post">
<input type="hidden" name="to" value="${to}">
<input type="text" name="username" value="support" autocomplete="username" hidden>
<label for="token">Support token</label>
<p class="field"><input id="token" name="token" type="password" required autocomplete="current-password" aria-describedby="token-hint"><button>Sign in</button></p>
<p id="token-hint" class="hint">Yours, from whoever runs this relay. What you look at is recorded under your name.</p>
</form>`,
  )
}

/** The pages on which staff sign in. */
import { html } from 'hono/html'
import type { Oidc } from './oidc.ts'
import { type Html, page } from './page.ts'

interface SignIn {
  /** Where accounts are, if not only tokens sign in. */
  oidc?: Pick<Oidc, 'name'> | undefined
  /** Why the last try did not. */
  problem?: string
}

/** `to` is where it leads. */
export function signInPage(to: string, { oidc, problem }: SignIn): Html {
  return page(
    { title: 'Sign in' },
    html`<h1>Sign in</h1>
${problem ? html`<p class="notice" role="alert">${problem}</p>` : ''}
${oidc ? html`<p class="account"><a class="button" href="/support/oidc?to=${encodeURIComponent(to)}">Sign in with ${oidc.name}</a></p>` : ''}
<form class="look-up" action="/support/sign-in" method="post">
<input type="hidden" name="to" value="${to}">
<input type="text" name="username" value="support" autocomplete="username" hidden>
<label for="token">${oidc ? 'Or with a support token' : 'Support token'}</label>
<p class="field"><input id="token" name="token" type="password" required autocomplete="current-password" aria-describedby="token-hint"><button>Sign in</button></p>
<p id="token-hint" class="hint">Yours, from whoever runs this relay. What you look at is recorded under your name.</p>
</form>`,
  )
}

/**
 * After a sign-in elsewhere. A page, not a redirect: a browser sends a strict cookie with nothing that another site has
 * begun, redirects included, and whoever has signed in would be asked to.
 */
export function signedInPage(to: string): Html {
  return page(
    { title: 'Signed in', next: to },
    html`<h1>You are signed in</h1>
<p><a href="${to}">Go on</a></p>`,
  )
}

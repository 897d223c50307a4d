/** The headers that relay and server know of one another, and nobody else. */

/** The key that SERVER_KEY gives to both: by it the server knows that a request comes from its relay. */
export const SERVER_KEY_HEADER = 'pass-ats-server-key'
/** Whose request it is: the install ID of the token that the relay has checked. A run is its owner's alone. */
export const INSTALL_HEADER = 'pass-ats-install'
/** `true` when a synthetic check asks, and no person: the relay has seen its key. */
export const SYNTHETIC_HEADER = 'pass-ats-synthetic'
/** With POST /generate: milliseconds since the click, as the browser told and the relay has checked. */
export const ELAPSED_HEADER = 'pass-ats-elapsed'
/** Names one request in the logs of both, and in the answer. Made by the relay, never taken from outside. */
export const REQUEST_ID_HEADER = 'x-request-id'

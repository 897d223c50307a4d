/** The headers that relay and server know of one another, and nobody else. */

/** The key that SERVER_KEY gives to both: by it the server knows that a request comes from its relay. */
export const SERVER_KEY_HEADER = 'pass-ats-server-key'
/** Whose request it is: the install ID of the token that the relay has checked. A run is its owner's alone. */
export const INSTALL_HEADER = 'pass-ats-install'
/** Names one request in the logs of both, and in the answer. Made by the relay, never taken from outside. */
export const REQUEST_ID_HEADER = 'x-request-id'

/** What POST /installs and POST /installs/refresh answer with. */
export interface InstallAccess {
  /** For `Authorization: Bearer`, on everything else. */
  token: string
  /** ISO 8601. */
  expiresAt: string
  /** The same as a duration, in seconds: clocks of browsers are off by hours. */
  expiresInS: number
  /** Gets the next token, as `{"refresh": …}` to POST /installs/refresh; valid for months. */
  refresh: string
}

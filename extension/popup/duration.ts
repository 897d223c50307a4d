/** Times as a person reads them. */

/** A duration in milliseconds with a fitting unit: `82 ms`, `3.4 s`, `1 min 12 s`. Negative (a clock set back) is 0. */
export function durationText(milliseconds: number): string {
  const ms = Math.max(0, milliseconds)
  if (Math.round(ms) < 1_000) return `${Math.round(ms)} ms`
  if (ms < 59_950) return `${(ms / 1_000).toFixed(1)} s`
  return minutesText(Math.round(ms / 1_000))
}

/** A running clock: whole seconds, so that nothing flickers. */
export function elapsedText(milliseconds: number): string {
  const seconds = Math.floor(Math.max(0, milliseconds) / 1_000)
  return seconds < 60 ? `${seconds} s` : minutesText(seconds)
}

/** How long ago: `just now`, `3 min ago`, `2 h ago`, `5 days ago`. */
export function agoText(milliseconds: number): string {
  const minutes = Math.floor(Math.max(0, milliseconds) / 60_000)
  if (minutes < 1) return 'just now'
  if (minutes < 60) return `${minutes} min ago`
  const hours = Math.floor(minutes / 60)
  if (hours < 24) return `${hours} h ago`
  const days = Math.floor(hours / 24)
  return days === 1 ? '1 day ago' : `${days} days ago`
}

/** A time of day as this person writes it: `14:05`, `2:05 PM`. */
export function clockText(epochMs: number): string {
  return new Date(epochMs).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' })
}

/** A size in bytes with a fitting unit: `830 B`, `48 KB`, `1.2 MB` (decimal, as file managers show it). */
export function sizeText(bytes: number): string {
  if (bytes < 1_000) return `${bytes} B`
  if (bytes < 999_500) return `${Math.round(bytes / 1_000)} KB`
  return `${(bytes / 1_000_000).toFixed(1)} MB`
}

function minutesText(seconds: number): string {
  return `${Math.floor(seconds / 60)} min ${seconds % 60} s`
}

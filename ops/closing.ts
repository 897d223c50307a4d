/** What must be closed when somebody presses Ctrl-C: browsers, processes, temporary folders. */

type Close = () => Promise<unknown>

const open = new Set<Close>()
let closing = false

/** Registers a clean-up for signals; call what it returns when the thing was closed in the ordinary way. */
export function closeOnSignal(close: Close): () => void {
  open.add(close)
  return () => open.delete(close)
}

/** Whether a signal has come: what fails from then on fails because of it. */
export function isClosing(): boolean {
  return closing
}

/** Closes everything, the newest first, and exits with 128 + the signal's number. */
export function exitOnSignals({ onSignal }: { onSignal?: (signal: string) => void } = {}): void {
  for (const [signal, number] of [
    ['SIGINT', 2],
    ['SIGTERM', 15],
    ['SIGHUP', 1],
  ] as const) {
    process.on(signal, async () => {
      if (closing) return
      closing = true
      onSignal?.(signal)
      // What cannot be closed must not keep the rest open.
      for (const close of [...open].reverse()) await close().catch(() => undefined)
      process.exit(128 + number)
    })
  }
}

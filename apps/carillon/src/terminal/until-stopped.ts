/** Waits for Ctrl-C or SIGTERM. The second one ends the process at once. */
export function untilStopped(): { stopped: Promise<void>; dispose(): void } {
  let resolve: () => void
  const stopped = new Promise<void>((settle) => {
    resolve = settle
  })
  let asked = false
  const onSignal = () => {
    if (asked) process.exit(130)
    asked = true
    resolve()
  }
  process.on('SIGINT', onSignal)
  process.on('SIGTERM', onSignal)
  return {
    stopped,
    dispose() {
      process.off('SIGINT', onSignal)
      process.off('SIGTERM', onSignal)
    },
  }
}

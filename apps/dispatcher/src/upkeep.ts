/** Makes partitions ahead and drops old ones: at once, then every few hours. */
export interface Upkeep {
  stop(): void
}

const EVERY_MS = 6 * 60 * 60 * 1000
/** After a failure it is tried again sooner; partitions are made two weeks ahead, so nothing is urgent. */
const AGAIN_MS = 5 * 60 * 1000

export function startUpkeep(options: { run(): Promise<unknown>; onFailure(error: unknown): void }): Upkeep {
  let timer: NodeJS.Timeout | undefined
  let stopped = false
  const pass = async (): Promise<void> => {
    let nextMs = EVERY_MS
    try {
      await options.run()
    } catch (error) {
      options.onFailure(error)
      nextMs = AGAIN_MS
    }
    if (stopped) return
    timer = setTimeout(pass, nextMs)
    timer.unref()
  }
  void pass()
  return {
    stop() {
      stopped = true
      clearTimeout(timer)
    },
  }
}

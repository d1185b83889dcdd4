/** Does `work` every so often, one at a time, until it is disposed; what fails is told and tried again next time. */
export function repeat(
  everyMs: number,
  work: () => Promise<void>,
  failed: (error: unknown) => void,
): AsyncDisposable {
  let running: Promise<void> | undefined
  const timer = setInterval(() => {
    running ??= work()
      .catch(failed)
      .finally(() => {
        running = undefined
      })
  }, everyMs)
  return {
    async [Symbol.asyncDispose]() {
      clearInterval(timer)
      await running
    },
  }
}

/** Tries `work` until it succeeds once or is disposed; what fails is told and tried again after `everyMs`. */
export function untilDone(
  everyMs: number,
  work: () => Promise<unknown>,
  failed: (error: unknown) => void,
): AsyncDisposable {
  let timer: NodeJS.Timeout | undefined
  let closed = false
  const attempt = async (): Promise<void> => {
    try {
      await work()
    } catch (error) {
      if (closed) return
      failed(error)
      timer = setTimeout(() => {
        running = attempt()
      }, everyMs)
    }
  }
  let running = attempt()
  return {
    async [Symbol.asyncDispose]() {
      closed = true
      clearTimeout(timer)
      await running
    },
  }
}

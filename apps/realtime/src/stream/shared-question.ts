/**
 * One question for all who ask at the same time. Whoever asks while it is being answered waits for the next answer,
 * since the present one may be older than what they have done before they asked: at most one is under way, and every
 * answer was found after it was asked for.
 */
export function sharedQuestion<T>(ask: () => Promise<T>): () => Promise<T> {
  let underWay: Promise<T> | undefined
  let next: Promise<T> | undefined
  const begin = (): Promise<T> => {
    const asked = ask().finally(() => {
      if (underWay === asked) underWay = undefined
    })
    underWay = asked
    return asked
  }
  return () => {
    if (underWay === undefined) return begin()
    if (next === undefined) {
      const after = () => {
        next = undefined
        return begin()
      }
      next = underWay.then(after, after)
    }
    return next
  }
}

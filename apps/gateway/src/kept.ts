/** A bounded map of what was asked a moment ago; questions asked meanwhile share one answer. */
export interface Kept<T> {
  get(key: string): Promise<T>
  forget(key: string): void
}

/** Keeps answers of `ask` for `forMs`, at most `max` of them. Failures are not kept. */
export function keepFor<T>(options: {
  forMs: number
  max: number
  now: () => number
  ask: (key: string) => Promise<T>
}): Kept<T> {
  const answers = new Map<string, { until: number; answer: Promise<T> }>()
  return {
    get(key) {
      const found = answers.get(key)
      if (found !== undefined && found.until > options.now()) return found.answer
      const answer = options.ask(key)
      answers.delete(key)
      if (answers.size >= options.max) answers.delete(answers.keys().next().value as string)
      answers.set(key, { until: options.now() + options.forMs, answer })
      answer.catch(() => {
        if (answers.get(key)?.answer === answer) answers.delete(key)
      })
      return answer
    },
    forget(key) {
      answers.delete(key)
    },
  }
}

/** A set of functions to be called. One that throws does not keep the others from hearing. */
export class Listeners<T> {
  readonly #all = new Set<{ listener: (value: T) => void }>()

  add(listener: (value: T) => void): () => void {
    const one = { listener }
    this.#all.add(one)
    return () => void this.#all.delete(one)
  }

  tell(value: T): void {
    for (const { listener } of [...this.#all]) {
      try {
        listener(value)
      } catch (error) {
        // the page's own mistake: reported as such, and ours goes on
        queueMicrotask(() => {
          throw error
        })
      }
    }
  }
}

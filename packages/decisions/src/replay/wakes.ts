import type { ReplayRun } from './run.js'

/** Runs in the order in which they wake; those of one moment in the order in which they were put. */
export interface Wakes {
  put(run: ReplayRun, at: number): void
  /** Takes the next run that is due at `until`; undefined when none is. */
  take(until: number): { run: ReplayRun; at: number } | undefined
}

interface Entry {
  at: number
  order: number
  run: ReplayRun
}

/** A heap; an entry whose run was put again, or has ended, is passed over. */
export function createWakes(): Wakes {
  const heap: Entry[] = []
  let order = 0
  return {
    put(run, at) {
      run.wakeAt = at
      heap.push({ at, order: order++, run })
      let child = heap.length - 1
      while (child > 0) {
        const parent = (child - 1) >> 1
        if (!before(heap, child, parent)) break
        swap(heap, child, parent)
        child = parent
      }
    },
    take(until) {
      for (let first = heap[0]; first !== undefined && first.at <= until; first = heap[0]) {
        removeFirst(heap)
        const { run, at } = first
        if (run.wakeAt !== at) continue
        run.wakeAt = undefined
        return { run, at }
      }
      return undefined
    },
  }
}

function removeFirst(heap: Entry[]): void {
  const last = heap.pop() as Entry
  if (heap.length === 0) return
  heap[0] = last
  for (let parent = 0; ; ) {
    let least = parent
    for (const child of [2 * parent + 1, 2 * parent + 2]) {
      if (child < heap.length && before(heap, child, least)) least = child
    }
    if (least === parent) return
    swap(heap, parent, least)
    parent = least
  }
}

function before(heap: readonly Entry[], a: number, b: number): boolean {
  const [one, other] = [heap[a] as Entry, heap[b] as Entry]
  return one.at < other.at || (one.at === other.at && one.order < other.order)
}

function swap(heap: Entry[], a: number, b: number): void {
  const kept = heap[a] as Entry
  heap[a] = heap[b] as Entry
  heap[b] = kept
}

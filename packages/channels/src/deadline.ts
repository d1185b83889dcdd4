/** A timer that can be taken back. */
export interface Deadline {
  clear(): void
}

/**
 * Calls back after `ms`, once what arrived until then was read. Node looks at its timers before its sockets: a process
 * that stood still would else call an answer missing that has been there for long.
 */
export function startDeadline(callback: () => void, ms: number): Deadline {
  let turn: NodeJS.Immediate | undefined
  const timer = setTimeout(() => {
    turn = setImmediate(callback)
  }, ms)
  return {
    clear() {
      clearTimeout(timer)
      clearImmediate(turn)
    },
  }
}

import { messageOf } from './errors.js'

export interface HealthReport {
  ok: boolean
  checks: Record<string, { ok: boolean; detail?: string }>
}

/** Readiness of a process: every dependency named, each with its own check. */
export interface Health {
  /** `check` gives undefined when all is well, else what is wrong. Returns a function that removes it. */
  add(name: string, check: () => string | undefined | Promise<string | undefined>): () => void
  report(): Promise<HealthReport>
}

/** A check that takes longer than this counts as failed, so that readiness answers in time. */
const CHECK_TIMEOUT_MS = 2_000

export function createHealth(): Health {
  const checks = new Map<string, () => string | undefined | Promise<string | undefined>>()
  return {
    add(name, check) {
      checks.set(name, check)
      return () => {
        if (checks.get(name) === check) checks.delete(name)
      }
    },
    async report() {
      const entries = await Promise.all(
        [...checks].map(async ([name, check]) => {
          const detail = await withinTime(check)
          return [name, detail === undefined ? { ok: true } : { ok: false, detail }] as const
        }),
      )
      return { ok: entries.every(([, result]) => result.ok), checks: Object.fromEntries(entries) }
    },
  }
}

async function withinTime(
  check: () => string | undefined | Promise<string | undefined>,
): Promise<string | undefined> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<string>((resolve) => {
    timer = setTimeout(() => resolve(`no answer within ${CHECK_TIMEOUT_MS} ms`), CHECK_TIMEOUT_MS)
  })
  try {
    return await Promise.race([Promise.resolve().then(check), late])
  } catch (error) {
    return messageOf(error)
  } finally {
    clearTimeout(timer)
  }
}

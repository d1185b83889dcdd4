import { digestId } from '@carillon/contracts'
import {
  type DigestStep,
  type Joined,
  joinDigest,
  type OpenDigest,
  type PlanInput,
} from '@carillon/decisions'
import {
  type DigestWindowKey,
  lockDigestWindows,
  type Tx,
  wakeDigests,
  writeDigestWindows,
} from '@carillon/postgres'
import { sha256 } from '@carillon/service'
import type { Settling } from './settling.js'

/** A digest that was opened here: the run that goes on when its window closes. */
export interface DigestRun {
  id: string
  /** Whose digest it is, and of which event it is the first. */
  first: Settling
  step: number
  key: string
  openedAt: number
  closesAt: number
}

/** Puts runs into digests, and keeps what was opened for who writes the rows. */
export interface Gathering {
  /** Joins runs to the windows of their digests; gives those that flushed theirs and go on at once. */
  join(tx: Tx, runs: readonly Settling[]): Promise<Settling[]>
  opened(): DigestRun[]
  /** Digests of earlier transactions that are full now go on at once. */
  wakeFull(tx: Tx): Promise<void>
}

interface Window {
  key: DigestWindowKey
  open: OpenDigest | undefined
}

export function createGathering(): Gathering {
  const fresh = new Map<string, DigestRun>()
  const full = new Map<string, number>()
  const note = (run: Settling, joined: Joined): void => {
    if (joined.kind === 'flushed') return
    const { step, key } = run.plan.digest as { step: number; key: string }
    const { now } = run.input as PlanInput
    run.digestId = joined.digestId
    run.digestPlace = joined.place
    if (joined.opens) {
      const { digestId: id, closesAt } = joined
      fresh.set(id, { id, first: run, step, key, openedAt: now, closesAt })
    }
    const mine = fresh.get(joined.digestId)
    if (mine !== undefined) mine.closesAt = joined.closesAt
    else if (joined.open === undefined) full.set(joined.digestId, now)
  }
  return {
    async join(tx, runs) {
      const windows = await lockWindows(tx, runs)
      const flushed: Settling[] = []
      for (const run of runs) {
        const window = windows.get(windowName(windowKey(run))) as Window
        const joined = joinDigest(window.open, joiningOf(run))
        window.open = joined.open
        note(run, joined)
        if (joined.kind === 'flushed') flushed.push(run)
      }
      await writeDigestWindows(tx, [...windows.values()])
      return flushed
    },
    opened: () => [...fresh.values()],
    async wakeFull(tx) {
      if (full.size > 0) await wakeDigests(tx, [...full.keys()], Math.max(...full.values()))
    },
  }
}

async function lockWindows(tx: Tx, runs: readonly Settling[]): Promise<Map<string, Window>> {
  const windows = new Map<string, Window>()
  for (const run of runs) {
    const key = windowKey(run)
    windows.set(windowName(key), { key, open: undefined })
  }
  const list = [...windows.values()]
  const open = await lockDigestWindows(
    tx,
    list.map(({ key }) => key),
  )
  list.forEach((window, index) => {
    window.open = open[index]
  })
  return windows
}

function joiningOf(run: Settling): Parameters<typeof joinDigest>[1] {
  const { now, calendar, facts, workflow } = run.input as PlanInput
  const { step } = run.plan.digest as { step: number }
  return {
    step: workflow.steps[step] as DigestStep,
    timezone: facts.user.timezone ?? facts.tenantTimezone,
    now,
    calendar,
    digestId: digestId(sha256, { run: run.runId, step }),
  }
}

function windowKey(run: Settling): DigestWindowKey {
  const { step, key } = run.plan.digest as { step: number; key: string }
  return {
    tenant: run.rules.tenant,
    workflowKey: run.workflow.key,
    workflowVersion: run.workflow.version,
    userId: run.userId,
    step,
    key,
  }
}

function windowName(key: DigestWindowKey): string {
  return `${key.tenant} ${key.workflowKey} ${key.workflowVersion} ${key.userId} ${key.step} ${key.key}`
}

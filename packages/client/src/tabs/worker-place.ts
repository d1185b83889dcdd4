import type { HostOptions } from '../host/host.js'
import { hold, lockNames, whenGone } from './elected-place.js'
import type { Guest, Place } from './place.js'
import { type HostMessage, RemoteHost, type TabMessage } from './wire.js'

/** A worker that can't be loaded may say so, or nothing. */
const ANSWER_MS = 3_000

/** What a worker is told first. */
export interface WorkerOptions extends Pick<HostOptions, 'url' | 'transports' | 'pageSize'> {
  group: string
  keeps: boolean
  /** A worker died before: what came meanwhile is still told. */
  takesOver: boolean
}
export type ToWorker =
  | { kind: 'open'; tab: string; options: WorkerOptions }
  | { kind: 'said'; message: TabMessage }

/**
 * The host is in a worker that all tabs share. It may die with the tab in whose process it runs: then the tabs that are
 * left make another. `failed` runs, once, where no worker can be had.
 */
export function workerPlace(
  guest: Guest,
  options: Omit<WorkerOptions, 'takesOver'>,
  failed: () => void,
): Place {
  const leaving = new AbortController()
  const { signal } = leaving
  let leave: () => void = () => undefined
  const close = () => {
    if (signal.aborted) return
    leave()
    leaving.abort()
  }
  const giveUp = () => {
    close()
    failed()
  }
  const begin = (takesOver: boolean) => {
    const gone = () => {
      guest.lost()
      begin(true)
    }
    try {
      leave = joinWorker(guest, { ...options, takesOver }, signal, { gone, failed: giveUp })
    } catch {
      // a page of another origin than its scripts may not
      giveUp()
    }
  }
  // this lock tells the worker that the tab lives
  hold(lockNames(options.group).tab(guest.id), signal, () => begin(false))
  return { close }
}

/** Gives the way to leave. @throws where pages may have no such worker */
function joinWorker(
  guest: Guest,
  options: WorkerOptions,
  signal: AbortSignal,
  ends: { gone: () => void; failed: () => void },
): () => void {
  const worker = new SharedWorker(new URL('../shared-worker.js', import.meta.url), {
    type: 'module',
    name: `carillon ${options.group}`,
  })
  const { port } = worker
  const post = (message: ToWorker) => port.postMessage(message)
  const say = (message: TabMessage) => post({ kind: 'said', message })
  let remote: RemoteHost | undefined
  const giveUp = () => {
    clearTimeout(timer)
    if (remote === undefined && !signal.aborted) ends.failed()
  }
  const timer = setTimeout(giveUp, ANSWER_MS)
  worker.onerror = giveUp
  port.onmessage = ({ data }: MessageEvent<HostMessage>) => {
    if (signal.aborted) return
    if (data.kind === 'welcome') {
      clearTimeout(timer)
      const found = new RemoteHost(say)
      remote = found
      guest.found(found)
      whenGone(data.lock ?? '', signal, () => {
        port.close()
        ends.gone()
      })
    } else if (data.kind === 'event') guest.hear(data.event)
    else remote?.settle(data)
  }
  post({ kind: 'open', tab: guest.id, options })
  say({ kind: 'hello', hello: guest.hello() })
  return () => {
    clearTimeout(timer)
    remote?.close()
    port.close()
  }
}

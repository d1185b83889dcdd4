import type { HostOptions } from '../host/host.js'
import { hold, lockNames } from './elected-place.js'
import type { Guest, Place } from './place.js'
import { type HostMessage, RemoteHost, type TabMessage } from './wire.js'

/** A worker that can't be loaded may say so, or nothing. */
const ANSWER_MS = 3_000

/** What a worker is told first. */
export interface WorkerOptions extends Pick<HostOptions, 'url' | 'transports' | 'pageSize'> {
  group: string
  keeps: boolean
}
export type ToWorker =
  | { kind: 'open'; tab: string; options: WorkerOptions }
  | { kind: 'said'; message: TabMessage }

/** The host is in a worker that all tabs share. `failed` runs, once, where that can't be had. */
export function workerPlace(guest: Guest, options: WorkerOptions, failed: () => void): Place {
  const leaving = new AbortController()
  const worker = new SharedWorker(new URL('../shared-worker.js', import.meta.url), {
    type: 'module',
    name: `carillon ${options.group}`,
  })
  const { port } = worker
  const say = (message: TabMessage) => post({ kind: 'said', message })
  const post = (message: ToWorker) => {
    if (!leaving.signal.aborted) port.postMessage(message)
  }
  let remote: RemoteHost | undefined
  const close = () => {
    if (leaving.signal.aborted) return
    remote?.close()
    leaving.abort()
    clearTimeout(timer)
    port.close()
  }
  const giveUp = () => {
    if (leaving.signal.aborted || remote !== undefined) return
    close()
    failed()
  }
  const timer = setTimeout(giveUp, ANSWER_MS)
  worker.onerror = giveUp
  port.onmessage = ({ data }: MessageEvent<HostMessage>) => {
    if (data.kind === 'welcome') {
      clearTimeout(timer)
      remote = new RemoteHost(say)
      guest.found(remote)
    } else if (data.kind === 'event') guest.hear(data.event)
    else remote?.settle(data)
  }
  // this lock tells the worker that the tab lives
  hold(lockNames(options.group).tab(guest.id), leaving.signal, () => {
    post({ kind: 'open', tab: guest.id, options })
    say({ kind: 'hello', hello: guest.hello() })
  })
  return { close }
}

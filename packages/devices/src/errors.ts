/**
 * `UNSUPPORTED`: no service worker, push or notifications here (an iPhone's browser before the site is on the home
 * screen). `NO_WORKER`: the site does not serve the worker, or what it serves is not ours. `PERMISSION_DENIED`: the
 * person said no, and only they can change it. `GATEWAY_REFUSED`: `status` says how. `GATEWAY_UNREACHABLE`: try later.
 */
export type WebPushErrorCode =
  | 'UNSUPPORTED'
  | 'NO_WORKER'
  | 'PERMISSION_DENIED'
  | 'GATEWAY_REFUSED'
  | 'GATEWAY_UNREACHABLE'

/** Why this browser is not signed in for push. */
export class WebPushError extends Error {
  readonly code: WebPushErrorCode
  /** The gateway's answer, with `GATEWAY_REFUSED`. */
  readonly status: number | undefined

  constructor(code: WebPushErrorCode, message: string, more: { status?: number; cause?: unknown } = {}) {
    super(message, more.cause === undefined ? undefined : { cause: more.cause })
    this.name = 'WebPushError'
    this.code = code
    this.status = more.status
  }
}

/**
 * `UNSUPPORTED`: no service worker, push or notifications here (an iPhone's browser before the site is on the home
 * screen). `PERMISSION_DENIED`: the person said no, and only they can change it. `GATEWAY_REFUSED`: `status` says how.
 * `GATEWAY_UNREACHABLE`: try again later.
 */
export type WebPushErrorCode = 'UNSUPPORTED' | 'PERMISSION_DENIED' | 'GATEWAY_REFUSED' | 'GATEWAY_UNREACHABLE'

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

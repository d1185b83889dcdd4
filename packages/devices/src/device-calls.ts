import { WebPushError } from './errors.js'

const TIMEOUT_MS = 10_000

/** The edge's calls about one installation of the signed-in person. */
export interface DeviceCalls {
  /** @throws WebPushError `GATEWAY_REFUSED`, `GATEWAY_UNREACHABLE` */
  put(device: WebPushDevice): Promise<void>
  /** Also done when it was not there. @throws WebPushError `GATEWAY_REFUSED`, `GATEWAY_UNREACHABLE` */
  remove(): Promise<void>
}

/** The body of `PUT /v1/me/devices/:installation`. */
export interface WebPushDevice {
  kind: 'webpush'
  endpoint: string
  p256dh: string
  auth: string
  app?: string
  locale?: string
}

export function createDeviceCalls(options: {
  gateway: string
  installation: string
  token: () => Promise<string> | string
}): DeviceCalls {
  const url = new URL(`/v1/me/devices/${encodeURIComponent(options.installation)}`, options.gateway)
  const call = async (method: 'PUT' | 'DELETE', body?: WebPushDevice): Promise<number> => {
    const token = await options.token()
    try {
      const answer = await fetch(url, {
        method,
        headers: {
          authorization: `Bearer ${token}`,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        credentials: 'omit',
        signal: AbortSignal.timeout(TIMEOUT_MS),
      })
      return answer.status
    } catch (cause) {
      throw new WebPushError('GATEWAY_UNREACHABLE', 'The gateway can not be reached.', { cause })
    }
  }
  const refused = (status: number) =>
    new WebPushError('GATEWAY_REFUSED', `The gateway answered ${status}.`, { status })
  return {
    async put(device) {
      const status = await call('PUT', device)
      if (status !== 200 && status !== 201) throw refused(status)
    },
    async remove() {
      const status = await call('DELETE')
      if (status !== 204 && status !== 404) throw refused(status)
    },
  }
}

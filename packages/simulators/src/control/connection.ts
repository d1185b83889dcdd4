import type { SimulatedProvider } from '../inbox.js'
import type { Simulators } from '../start.js'

/** How to reach simulators in another process. */
export interface SimulatorsConnection {
  /** The control server's URL. */
  control: string
  ports: Record<SimulatedProvider, number>
  ca: string
  settingsForChannels: Simulators['settingsForChannels']
  credentials: Simulators['credentials']
  webhook: { url: string; secret: string }
  webPushOrigin: string
}

export function connectionOf(simulators: Simulators, control: string): SimulatorsConnection {
  const { fcm, apns, webpush, smtp, sms, webhook, ca, settingsForChannels, credentials } = simulators
  return {
    control,
    ports: {
      fcm: fcm.port,
      apns: apns.port,
      webpush: webpush.port,
      smtp: smtp.port,
      sms: sms.port,
      webhook: webhook.port,
    },
    ca,
    settingsForChannels,
    credentials,
    webhook: { url: webhook.url, secret: webhook.secret },
    webPushOrigin: webpush.origin,
  }
}

import { changeDevice, sendReceipts } from './api.js'

const GATHER_MS = 40

/**
 * What devices say of their messages. `delivered` is said once by each, in batches; what a person does is said at once.
 * `onSaid(message, status)` is called for what a person did.
 */
export function createReceipts(onSaid) {
  const said = new Set()
  let waiting = []
  const flush = () => {
    const receipts = waiting
    waiting = []
    // a device would say it again later; here the next page does
    void sendReceipts(receipts).catch(() => {
      for (const { token } of receipts) said.delete(token)
    })
  }
  const receipt = (token, status) => ({ token, status, at: new Date().toISOString() })

  return {
    delivered({ rt }) {
      if (!rt || said.has(rt)) return
      said.add(rt)
      if (waiting.length === 0) setTimeout(flush, GATHER_MS)
      waiting.push(receipt(rt, 'delivered'))
    },
    /** `opened`, `clicked` or `dismissed` by the person; a push then leaves the screen, as on a real phone. */
    async acted(message, status) {
      if (message.rt) await sendReceipts([receipt(message.rt, status)])
      if (PUSH.has(message.provider) && message.nid) {
        await changeDevice(message.provider, message.to, 'dismiss', message.nid)
      }
      onSaid(message, status)
    },
  }
}

const PUSH = new Set(['fcm', 'apns', 'webpush'])

/** Opens what a notification leads to; only http and https, and without a way back to this page. */
export function openUrl(url) {
  if (isWebUrl(url)) window.open(url, '_blank', 'noopener,noreferrer')
}

export function isWebUrl(url) {
  return typeof url === 'string' && URL.canParse(url) && /^https?:$/.test(new URL(url).protocol)
}

import { type CarillonClient, CarillonClientError } from '@carillon/sdk'
import type { DevEdge } from '@carillon/simulators'
import type { IntroduceDevices } from './demo-people.js'

interface DevEdgeParts {
  url: string
  apiKey: string
  carillon: CarillonClient
  introduceDevices: IntroduceDevices
}

type Suppressions = { suppressions: Awaited<ReturnType<DevEdge['suppressions']>> }

/** What the dev inbox has done with the installation's key, by the public interface alone. */
export function createDevEdge({ url, apiKey, carillon, introduceDevices }: DevEdgeParts): DevEdge {
  const notification = (id: string, what: string) => `/v1/notifications/${encodeURIComponent(id)}/${what}`
  return {
    explain: (id) =>
      unlessUnknown(async () => {
        const { text, ...data } = await carillon.call<{ text: string }>('GET', notification(id, 'explain'))
        return { text, data }
      }),
    deliveries: (id) => unlessUnknown(() => carillon.call('GET', notification(id, 'deliveries'))),
    async handInMail(mail) {
      const response = await fetch(`${url}/v1/callbacks/mail`, {
        method: 'POST',
        headers: { authorization: `Bearer ${apiKey}`, 'content-type': 'message/rfc822' },
        body: mail,
      })
      const answer = (await response.json()) as { outcome: string; detail: string | null }
      if (!response.ok) throw new Error(`The report was answered ${response.status}: ${answer.detail}`)
      return { outcome: answer.outcome, detail: answer.detail }
    },
    suppressions: async () => (await carillon.call<Suppressions>('GET', '/v1/suppressions')).suppressions,
    liftSuppression: async (kind, address) =>
      void (await carillon.call('DELETE', `/v1/suppressions/${kind}/${encodeURIComponent(address)}`)),
    async mended(provider) {
      await carillon.call('POST', `/v1/providers/${provider}/resume`)
      if (provider === 'fcm' || provider === 'apns' || provider === 'webpush')
        await introduceDevices(provider)
    },
  }
}

/** Undefined for what nothing is known of. */
async function unlessUnknown<T>(ask: () => Promise<T>): Promise<T | undefined> {
  try {
    return await ask()
  } catch (error) {
    if (error instanceof CarillonClientError && error.status === 404) return undefined
    throw error
  }
}

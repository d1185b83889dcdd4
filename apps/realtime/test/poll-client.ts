import { signToken } from './mesh.js'

export interface PollAnswer {
  events: { id?: string; event: string; data: unknown }[]
  last_event_id: string
  channels: Record<string, { recovered: boolean }>
  reset?: { channel: string; reason: string }[]
}

/** @throws Error for any answer but 200 */
export async function poll(
  node: { url: string },
  query: string,
  headers: Record<string, string>,
): Promise<PollAnswer> {
  const answer = await fetch(`${node.url}/v1/poll?${query}`, { headers })
  if (!answer.ok) throw new Error(`${answer.status}: ${await answer.text()}`)
  return (await answer.json()) as PollAnswer
}

export async function bearer(
  claims: Parameters<typeof signToken>[0] = {},
): Promise<{ authorization: string }> {
  return { authorization: `Bearer ${await signToken(claims)}` }
}

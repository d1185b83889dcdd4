import type { HttpOutcome } from '../egress/post.js'
import type { Verdict } from '../verdict.js'
import type { AccessTokens } from './access-token.js'

/** What came of a request, or why there is no access token to make it with. */
export type Authorised = { answer: HttpOutcome } | { verdict: Verdict }

/** Asks with an access token, and once more with a new one when the first was refused. */
export async function withAccessToken(
  tokens: AccessTokens,
  ask: (token: string) => Promise<HttpOutcome>,
): Promise<Authorised> {
  const first = await tokens.get()
  if (!first.ok) return { verdict: first.verdict }
  const answer = await ask(first.token)
  const refused =
    answer.kind === 'answer' && answer.status === 401 && !answer.text.includes('THIRD_PARTY_AUTH_ERROR')
  if (!refused) return { answer }
  const second = await tokens.renew(first.token)
  return second.ok ? { answer: await ask(second.token) } : { verdict: second.verdict }
}

import { CarillonError, isUnauthorized } from '../errors.js'
import type { Tokens } from './tokens.js'

const TIMEOUT_MS = 10_000

/** Calls of the edge's HTTP interface as the signed-in person. */
export interface Http {
  /** The answer's JSON; undefined when it has none. @throws CarillonError, UnauthorizedError */
  call(method: string, path: string, body?: object): Promise<unknown>
}

export function createHttp(options: { url: string; tokens: Tokens; fetch: typeof fetch }): Http {
  const { tokens } = options
  const send = async (method: string, path: string, token: string, body?: object): Promise<Response> => {
    try {
      return await options.fetch(new URL(path, options.url), {
        method,
        headers: {
          authorization: `Bearer ${token}`,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        credentials: 'omit',
        signal: AbortSignal.timeout(TIMEOUT_MS),
      })
    } catch {
      throw new CarillonError('OFFLINE', 'The server can not be reached.')
    }
  }
  return {
    async call(method, path, body) {
      const token = await having(tokens.current())
      let response = await send(method, path, token, body)
      if (response.status === 401)
        response = await send(method, path, await having(tokens.renewed(token)), body)
      const text = await response.text().catch(() => '')
      if (!response.ok) throw refusal(response.status, text)
      return text === '' ? undefined : parsed(text)
    },
  }
}

/** The page's own server may be out of reach as well. */
async function having(token: Promise<string>): Promise<string> {
  try {
    return await token
  } catch (error) {
    if (isUnauthorized(error)) throw error
    throw new CarillonError('OFFLINE', `There is no token: ${error instanceof Error ? error.message : error}`)
  }
}

function refusal(status: number, text: string): CarillonError {
  const { code, detail } = (parsed(text) ?? {}) as { code?: unknown; detail?: unknown }
  return new CarillonError(
    typeof code === 'string' ? code : `HTTP_${status}`,
    typeof detail === 'string' ? detail : `The server answered ${status}.`,
    status,
  )
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

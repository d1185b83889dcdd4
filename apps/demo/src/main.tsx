import { createCarillon, UnauthorizedError } from '@carillon/client'
import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { Page } from './page.js'
import type { DemoSession } from './session.js'

const wanted = new URLSearchParams(location.search).get('as')

async function readSession(): Promise<DemoSession> {
  const query = wanted === null ? '' : `?${new URLSearchParams({ as: wanted })}`
  const answer = await fetch(`/dev/app/session${query}`)
  if (answer.status === 404) throw new UnauthorizedError('There is no such person.')
  if (!answer.ok) throw new Error(`The session's answer was ${answer.status}.`)
  return (await answer.json()) as DemoSession
}

/** Nothing runs at import: whoever loads this module starts the page. */
async function start(root: HTMLElement): Promise<void> {
  const session = await readSession()
  let first: string | undefined = session.token
  const client = createCarillon({
    url: location.origin,
    user: session.user,
    getToken: async () => {
      const token = first ?? (await readSession()).token
      first = undefined
      return token
    },
  })
  createRoot(root).render(
    <StrictMode>
      <Page client={client} session={session} />
    </StrictMode>,
  )
}

const root = document.getElementById('root') as HTMLElement
start(root).catch((error: unknown) => {
  root.textContent = error instanceof Error ? error.message : String(error)
})

import type { Carillon } from '@carillon/client'
import { Bell, CarillonProvider, Inbox, Toasts, useConnectionState } from '@carillon/react'
import { type ReactNode, useEffect, useState } from 'react'
import { Chat } from './chat.js'
import { Positions } from './positions.js'
import type { DemoSession } from './session.js'
import { type Choices, Settings } from './settings.js'

/** The page of one signed-in person. */
export function Page({ client, session }: { client: Carillon; session: DemoSession }): ReactNode {
  const [choices, setChoices] = useState<Choices>({ theme: 'system', locale: navigator.language })
  useEffect(() => {
    document.documentElement.dataset.theme = choices.theme
  }, [choices.theme])
  const name = session.people[session.user] ?? session.user
  return (
    <CarillonProvider client={client} locale={choices.locale} theme={choices.theme}>
      <a className="skip" href="#inbox">
        Skip to the inbox
      </a>
      <header className="top">
        <div className="brand">
          <img src="/dev/page/icon.svg" alt="" width="36" height="36" />
          <div>
            <h1>Carillon</h1>
            <p>An app with the components of @carillon/react</p>
          </div>
        </div>
        <Connection />
        <Settings choices={choices} onChange={setChoices} />
        <Ring />
        <Bell />
      </header>
      <main className="parts">
        <div id="inbox" className="inbox" tabIndex={-1}>
          <Inbox />
        </div>
        <Chat session={session} />
        <Positions session={session} />
      </main>
      <footer className="foot">
        <p>
          Signed in as <strong>{name}</strong>. Open this page twice, or{' '}
          <a href={`?as=${session.user === 'ada' ? 'mira' : 'ada'}`} target="_blank" rel="noreferrer">
            as somebody else
          </a>
          : what is read in one tab is read in the other. <a href="/">Back to the dev inbox</a>
        </p>
      </footer>
      <Toasts />
    </CarillonProvider>
  )
}

const WORDS = {
  idle: 'Not connected',
  connecting: 'Connecting…',
  connected: 'Connected',
  offline: 'Offline, trying again',
  'signed-out': 'Signed out',
} as const

function Connection(): ReactNode {
  const state = useConnectionState()
  return (
    <p className="connection" role="status" data-state={state}>
      {WORDS[state]}
    </p>
  )
}

/** Rings every bell of Ada, by the event that the dev inbox's button publishes. */
function Ring(): ReactNode {
  const [state, setState] = useState<'ready' | 'busy' | 'failed'>('ready')
  const ring = async () => {
    setState('busy')
    const answer = await fetch('/dev/ring', { method: 'POST', headers: { 'x-carillon-dev': '1' } })
    setState(answer.ok ? 'ready' : 'failed')
  }
  return (
    <button
      className="ring"
      type="button"
      aria-disabled={state === 'busy'}
      onClick={() => state !== 'busy' && void ring().catch(() => setState('failed'))}
    >
      {state === 'failed' ? 'Ring again' : 'Ring Ada'}
    </button>
  )
}

import type { ChannelMessage } from '@carillon/client'
import { useChannel } from '@carillon/react'
import { type FormEvent, type ReactNode, useEffect, useLayoutEffect, useMemo, useRef, useState } from 'react'
import { type DemoSession, LOUNGE } from './session.js'

/** A room with its history, who is in it, and what they say. */
export function Chat({ session }: { session: DemoSession }): ReactNode {
  const room = useChannel(LOUNGE)
  const { state, history } = room
  const [earlier, setEarlier] = useState<readonly ChannelMessage[]>([])
  const [problem, setProblem] = useState('')
  const log = useRef<HTMLDivElement>(null)
  useEffect(() => {
    if (state !== 'joined') return
    // without it the conversation begins now
    history({ limit: 50, newestFirst: true }).then(setEarlier, () => undefined)
  }, [state, history])
  const messages = useMemo(() => merge(earlier, room.messages), [earlier, room.messages])
  useLayoutEffect(() => {
    const list = log.current
    if (list && messages.length > 0) list.scrollTop = list.scrollHeight
  }, [messages])
  const send = async (text: string) => {
    try {
      await room.publish({ text })
      setProblem('')
    } catch (error) {
      setProblem(error instanceof Error ? error.message : 'That did not work.')
    }
  }
  return (
    <section className="card chat" aria-labelledby="chat-title">
      <header>
        <h2 id="chat-title">Lounge</h2>
        <Members members={room.members} count={room.memberCount} session={session} />
      </header>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: who has no pointer scrolls it, too */}
      <div className="log" ref={log} role="log" aria-label="Messages" tabIndex={0}>
        {messages.length === 0 && <p className="nothing">Nobody said anything yet.</p>}
        {messages.map((message) => (
          <Said key={`${message.offset}`} message={message} session={session} />
        ))}
      </div>
      <Write disabled={state !== 'joined'} onSend={send} />
      <p className="problem" role="alert">
        {problem || room.error?.message}
      </p>
    </section>
  )
}

function Members(props: {
  members: readonly { user: string; client: string }[]
  count: number
  session: DemoSession
}): ReactNode {
  const { members, count, session } = props
  const names = [...new Set(members.map(({ user }) => session.people[user] ?? user))].sort()
  return (
    <p className="members">
      <span className="visually-hidden">Here now: </span>
      {names.map((name) => (
        <span className="member" key={name}>
          {name}
        </span>
      ))}
      <span className="count">{count === 1 ? '1 tab' : `${count} tabs`}</span>
    </p>
  )
}

function Said({ message, session }: { message: ChannelMessage; session: DemoSession }): ReactNode {
  const user = message.from?.user ?? ''
  const { text } = message.data as { text?: unknown }
  return (
    <div className={user === session.user ? 'said mine' : 'said'}>
      <b>{session.people[user] ?? (user || 'Carillon')}</b>
      <bdi>{typeof text === 'string' ? text : JSON.stringify(message.data)}</bdi>
    </div>
  )
}

function Write({ disabled, onSend }: { disabled: boolean; onSend(text: string): Promise<void> }): ReactNode {
  const [text, setText] = useState('')
  const submit = (event: FormEvent) => {
    event.preventDefault()
    const words = text.trim()
    if (words === '' || disabled) return
    setText('')
    void onSend(words)
  }
  return (
    <form onSubmit={submit}>
      <input
        value={text}
        onChange={({ target }) => setText(target.value)}
        aria-label="Message"
        placeholder="Say something"
        maxLength={500}
        autoComplete="off"
      />
      <button type="submit" aria-disabled={disabled}>
        Send
      </button>
    </form>
  )
}

/** History and what came since, each once, oldest first. */
function merge(earlier: readonly ChannelMessage[], since: readonly ChannelMessage[]): ChannelMessage[] {
  const byOffset = new Map([...earlier, ...since].map((message) => [message.offset, message]))
  return [...byOffset.values()].sort((a, b) => (a.offset ?? 0) - (b.offset ?? 0))
}

import { type KeyboardEvent, type PointerEvent, type ReactNode, useRef } from 'react'
import type { DemoSession } from './session.js'
import { type Place, usePositions } from './use-positions.js'

const STEP = 3
const KEYS: Readonly<Record<string, Place>> = {
  ArrowLeft: { x: -STEP, y: 0 },
  ArrowRight: { x: STEP, y: 0 },
  ArrowUp: { x: 0, y: -STEP },
  ArrowDown: { x: 0, y: STEP },
}

/** A map on which everybody moves themselves: a `latest` channel, of which only the newest position counts. */
export function Positions({ session }: { session: DemoSession }): ReactNode {
  const { own, others, move } = usePositions()
  const map = useRef<HTMLDivElement>(null)
  const name = (user: string) => session.people[user] ?? user
  const onKeyDown = (event: KeyboardEvent) => {
    const by = KEYS[event.key]
    if (by === undefined) return
    event.preventDefault()
    move({ x: own.x + by.x, y: own.y + by.y })
  }
  const toPointer = ({ clientX, clientY }: PointerEvent) => {
    const box = map.current?.getBoundingClientRect()
    if (box)
      move({ x: ((clientX - box.left) / box.width) * 100, y: ((clientY - box.top) / box.height) * 100 })
  }
  return (
    <section className="card positions" aria-labelledby="map-title">
      <header>
        <h2 id="map-title">Where everybody is</h2>
        <p id="map-help">Drag your dot, or move it with the arrow keys.</p>
      </header>
      <div className="map" ref={map} dir="ltr">
        {others.map(({ key, user, x, y }) => (
          <span className="dot other" key={key} data-user={user} style={at({ x, y })}>
            {name(user)}
          </span>
        ))}
        <button
          className="dot own"
          type="button"
          style={at(own)}
          aria-label={`${name(session.user)}, your position: ${Math.round(own.x)} across, ${Math.round(own.y)} down`}
          aria-describedby="map-help"
          onKeyDown={onKeyDown}
          onPointerDown={(event) => event.currentTarget.setPointerCapture(event.pointerId)}
          onPointerMove={(event) =>
            event.currentTarget.hasPointerCapture(event.pointerId) && toPointer(event)
          }
        >
          {name(session.user)}
        </button>
      </div>
      <ul className="visually-hidden" aria-label="Others">
        {others.map(({ key, user, x, y }) => (
          <li key={key}>{`${name(user)}, ${Math.round(x)} across, ${Math.round(y)} down`}</li>
        ))}
      </ul>
    </section>
  )
}

const at = ({ x, y }: Place) => ({ left: `${x}%`, top: `${y}%` })

import { useChannel } from '@carillon/react'
import { useCallback, useEffect, useRef, useState } from 'react'
import { MAP } from './session.js'

/** In percent of the map. */
export interface Place {
  x: number
  y: number
}

export interface Somebody extends Place {
  key: string
  user: string
}

/** Ten a second are as smooth as anybody sees. */
const EVERY_MS = 100
/** Who has said nothing for so long is gone; each says something more often. */
const GONE_AFTER_MS = 20_000
const REPEAT_MS = 7_000

/** Where everybody is: ours is told as it changes, the newest of each tab counts. */
export function usePositions(): { own: Place; others: readonly Somebody[]; move(to: Place): void } {
  const [key] = useState(() => crypto.randomUUID())
  const [own, setOwn] = useState<Place>(() => ({ x: 20 + Math.random() * 60, y: 25 + Math.random() * 50 }))
  const [heard, setHeard] = useState<ReadonlyMap<string, Somebody & { at: number }>>(new Map())
  const { state, publish } = useChannel(MAP, {
    onMessage({ data, from, key: tab }) {
      const { x, y } = data as Partial<Place>
      if (typeof x !== 'number' || typeof y !== 'number' || tab === null || tab === key) return
      const somebody = { key: tab, user: from?.user ?? '', x, y, at: Date.now() }
      setHeard((before) => new Map(before).set(tab, somebody))
    },
  })
  const place = useRef(own)
  const waiting = useRef<ReturnType<typeof setTimeout>>(undefined)
  const tell = useCallback(() => {
    waiting.current = undefined
    // the next one replaces what did not arrive
    publish({ ...place.current }, { key }).catch(() => undefined)
  }, [publish, key])
  const move = useCallback(
    ({ x, y }: Place) => {
      place.current = { x: Math.max(0, Math.min(100, x)), y: Math.max(0, Math.min(100, y)) }
      setOwn(place.current)
      waiting.current ??= setTimeout(tell, EVERY_MS)
    },
    [tell],
  )
  useEffect(() => {
    if (state !== 'joined') return undefined
    tell()
    const timer = setInterval(() => {
      tell()
      const oldest = Date.now() - GONE_AFTER_MS
      setHeard((before) => new Map([...before].filter(([, { at }]) => at > oldest)))
    }, REPEAT_MS)
    return () => clearInterval(timer)
  }, [state, tell])
  return { own, others: [...heard.values()], move }
}

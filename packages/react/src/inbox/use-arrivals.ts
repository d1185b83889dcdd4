import { useEffect, useRef, useState } from 'react'
import { useCarillonContext } from '../context.js'

/** What arrives within this time is told in one sentence. */
const GATHER_MS = 500
const REMEMBERED = 50

/** Tells of new notifications unless toasts do. Returns the ids of those that arrived while the inbox was shown. */
export function useArrivals(say: (words: string) => void): ReadonlySet<string> {
  const { client, text, toasts } = useCarillonContext()
  const [fresh, setFresh] = useState<ReadonlySet<string>>(new Set())
  const titles = useRef<string[]>([])
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined
    const tell = () => {
      timer = undefined
      const [first = ''] = titles.current
      const count = titles.current.length
      titles.current = []
      if (toasts.mounted > 0 || count === 0) return
      const { arrivedOne, arrivedMany } = text.messages
      say(count === 1 ? text.fill(arrivedOne, { title: first }) : text.plural(arrivedMany, count))
    }
    const stop = client.onNotification(({ id, title }) => {
      setFresh((before) => new Set([...before, id].slice(-REMEMBERED)))
      titles.current.push(title)
      timer ??= setTimeout(tell, GATHER_MS)
    })
    return () => {
      stop()
      clearTimeout(timer)
    }
  }, [client, text, toasts, say])
  return fresh
}

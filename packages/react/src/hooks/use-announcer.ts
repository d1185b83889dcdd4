import { useCallback, useState } from 'react'

/** What a polite live region holds, and how to say something else. The same words twice are spoken twice. */
export function useAnnouncer(): [said: string, say: (words: string) => void] {
  const [said, setSaid] = useState('')
  const say = useCallback(
    (words: string) => setSaid((before) => (before === words ? `${words}\u00a0` : words)),
    [],
  )
  return [said, say]
}

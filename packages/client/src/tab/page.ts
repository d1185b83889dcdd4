/** Tells when the page is looked at again and when the network comes and goes. Gives a way to stop; in Node nothing. */
export function watchPage(tell: { wake: () => void; networkLost: () => void }): () => void {
  if (typeof document === 'undefined') return () => undefined
  const stop = new AbortController()
  const { signal } = stop
  addEventListener('online', tell.wake, { signal })
  addEventListener('offline', tell.networkLost, { signal })
  document.addEventListener(
    'visibilitychange',
    () => {
      if (document.visibilityState === 'visible') tell.wake()
    },
    { signal },
  )
  return () => stop.abort()
}

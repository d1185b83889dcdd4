export interface Listening {
  close(): void
}

/** Opens the person's event stream and calls for each notification that appears on it. Resolves once it is ready. */
export async function listenSse(url: string, token: string, onNotification: () => void): Promise<Listening> {
  const stopping = new AbortController()
  const answer = await fetch(`${url}/v1/sse?channel=user`, {
    headers: { authorization: `Bearer ${token}`, accept: 'text/event-stream' },
    signal: stopping.signal,
  })
  if (!answer.ok || answer.body === null) throw new Error(`The event stream answers ${answer.status}.`)
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader()
  let ready: () => void
  const becameReady = new Promise<void>((resolve) => {
    ready = resolve
  })
  const read = async (): Promise<void> => {
    let text = ''
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return
      text += value
      for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
        const block = text.slice(0, end)
        text = text.slice(end + 2)
        if (/^event: ready/m.test(block)) ready()
        if (block.includes('notification.created')) onNotification()
      }
    }
  }
  read().catch((error: unknown) => {
    // closing aborts the read; anything else shows as a bell that didn't ring
    if (!stopping.signal.aborted) throw error
  })
  await becameReady
  return { close: () => stopping.abort() }
}

import type { RunningMesh } from '../mesh/up.js'
import { CommandError } from '../terminal/failure.js'
import type { CallRides } from './call-rides.js'

/** What a ride's channels say. */
export interface RideFrame {
  type: string
  text?: string
  from?: string
  lat?: number
  lon?: number
}

interface RideWatch {
  close(): void
}

/** Opens a ride's conversation and the driver's place as a page does, over SSE. Resolves once it listens. */
export async function watchRide(
  mesh: RunningMesh,
  person: CallRides,
  { rideId, onFrame }: { rideId: string; onFrame(frame: RideFrame): void },
): Promise<RideWatch> {
  const { token, channels } = await person<{ token: string; channels: { channel: string }[] }>(
    `/rides/${rideId}/token`,
    undefined,
    'GET',
  )
  const query = new URLSearchParams()
  for (const { channel } of channels) query.append('channel', channel)
  const stopping = new AbortController()
  const answer = await fetch(`${mesh.url}/v1/sse?${query}`, {
    headers: { authorization: `Bearer ${token}`, accept: 'text/event-stream' },
    signal: stopping.signal,
  })
  if (!answer.ok || answer.body === null)
    throw new CommandError(`The ride's channels answer ${answer.status}: ${await answer.text()}`)
  const blocks = blocksOf(answer.body)
  for (;;) {
    const { value, done } = await blocks.next()
    if (done === true) throw new CommandError("The ride's channels were closed before they were ready.")
    if (/^event: ready/m.test(value)) break
  }
  const listen = async (): Promise<void> => {
    for await (const block of blocks) {
      const [, data] = /^event: (?:room|latest):.*\ndata: (.*)/m.exec(block) ?? []
      if (data !== undefined) onFrame((JSON.parse(data) as { data: RideFrame }).data)
    }
  }
  listen().catch((error: unknown) => {
    // closing aborts the read; anything else shows as frames that don't come
    if (!stopping.signal.aborted) throw error
  })
  return { close: () => stopping.abort() }
}

async function* blocksOf(body: ReadableStream<Uint8Array>): AsyncGenerator<string, undefined> {
  let text = ''
  for await (const chunk of body.pipeThrough(new TextDecoderStream())) {
    text += chunk
    for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
      yield text.slice(0, end)
      text = text.slice(end + 2)
    }
  }
}

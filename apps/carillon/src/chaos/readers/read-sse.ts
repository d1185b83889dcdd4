import { setTimeout as sleep } from 'node:timers/promises'
import type { Place } from './channel-log.js'
import { placesOf, RETURN_AFTER_MS } from './cursor-places.js'
import { Notes, PERSONAL, type ReaderPlan } from './notes.js'

/** An EventSource that comes back with its last id however often it is cut off. */
export function readSse(plan: ReaderPlan): Notes {
  const notes = new Notes(plan)
  void readOn(notes)
  return notes
}

async function readOn(notes: Notes): Promise<void> {
  const state = { lastId: '' }
  while (!notes.stopping.aborted) {
    // refused or cut off: it just comes again
    await readOnce(notes, state).catch(() => undefined)
    await sleep(RETURN_AFTER_MS)
  }
}

async function readOnce(notes: Notes, state: { lastId: string }): Promise<void> {
  const { realtimeUrl, room, token } = notes.plan
  const answer = await fetch(`${realtimeUrl}/v1/sse?channel=${PERSONAL}&channel=${room}`, {
    headers: {
      authorization: `Bearer ${token}`,
      accept: 'text/event-stream',
      ...(state.lastId === '' ? {} : { 'last-event-id': state.lastId }),
    },
    signal: notes.stopping,
  })
  if (answer.body === null || !answer.ok) throw new Error(`SSE answers ${answer.status}.`)
  let rest = ''
  for await (const chunk of answer.body.pipeThrough(new TextDecoderStream())) {
    const blocks = (rest + chunk).split('\n\n')
    rest = blocks.pop() ?? ''
    for (const block of blocks) notes.take(() => take(notes, state, fieldsOf(block)))
  }
}

function fieldsOf(block: string): Map<string, string> {
  const fields = new Map<string, string>()
  for (const line of block.split('\n')) {
    const colon = line.indexOf(':')
    if (colon > 0) fields.set(line.slice(0, colon), line.slice(colon + 1).trimStart())
  }
  return fields
}

function take(notes: Notes, state: { lastId: string }, fields: ReadonlyMap<string, string>): void {
  state.lastId = fields.get('id') ?? state.lastId
  const data = fields.get('data')
  if (data === undefined) return
  const places = placesOf(state.lastId, notes.channels.keys())
  const said = JSON.parse(data) as { channel: string; reason: string; data: unknown }
  const at = (channel: string) => places.get(channel) as Place
  const event = fields.get('event') ?? PERSONAL
  if (event === 'ready') notes.connected(places)
  else if (event === 'reset') notes.reset(said.channel, said.reason, at(said.channel))
  else if (event === PERSONAL) notes.frame(PERSONAL, at(PERSONAL), said)
  else notes.frame(event, at(event), said.data)
}

import { setTimeout as sleep } from 'node:timers/promises'
import type { Place } from './channel-log.js'
import { placesOf, RETURN_AFTER_MS } from './cursor-places.js'
import { Notes, PERSONAL, type ReaderPlan } from './notes.js'

interface PollAnswer {
  events: { id: string; event: string; data: unknown }[]
  last_event_id: string
  reset?: { channel: string; reason: string }[]
}

const WAIT_SECONDS = 10

/** Asks again and again, from where the answer before ended. */
export function readByPolls(plan: ReaderPlan): Notes {
  const notes = new Notes(plan)
  void readOn(notes)
  return notes
}

async function readOn(notes: Notes): Promise<void> {
  let lastId = ''
  let away = true
  while (!notes.stopping.aborted) {
    const answer = await ask(notes, lastId).catch(() => undefined)
    if (answer === undefined) {
      away = true
      await sleep(RETURN_AFTER_MS)
      continue
    }
    lastId = answer.last_event_id
    if (away) notes.connects++
    away = false
    notes.take(() => take(notes, answer))
  }
}

async function ask(notes: Notes, lastId: string): Promise<PollAnswer> {
  const { realtimeUrl, room, token } = notes.plan
  const answer = await fetch(
    `${realtimeUrl}/v1/poll?channel=${PERSONAL}&channel=${room}&last_event_id=${lastId}&wait=${WAIT_SECONDS}`,
    { headers: { authorization: `Bearer ${token}` }, signal: notes.stopping },
  )
  if (!answer.ok) throw new Error(`Polls are answered ${answer.status}.`)
  return (await answer.json()) as PollAnswer
}

function take(notes: Notes, answer: PollAnswer): void {
  const resets = new Map(answer.reset?.map(({ channel, reason }) => [channel, reason]))
  const places = (id: string) => placesOf(id, notes.channels.keys())
  const begin = (channel: string, place: Place) => {
    const reason = resets.get(channel)
    resets.delete(channel)
    if (reason === undefined) notes.joined(channel, place)
    else notes.reset(channel, reason, place)
  }
  for (const { id, event, data } of answer.events) {
    const channel = event === 'message' ? PERSONAL : event
    const place = places(id).get(channel) as Place
    const known = notes.channels.get(channel)?.last?.epoch
    // an answer lists its resets apart: what is of another epoch came after
    if (known === undefined || place.epoch !== known) begin(channel, { ...place, offset: place.offset - 1 })
    notes.frame(channel, place, channel === PERSONAL ? data : (data as { data: unknown }).data)
  }
  for (const [channel, place] of places(answer.last_event_id)) begin(channel, place)
}

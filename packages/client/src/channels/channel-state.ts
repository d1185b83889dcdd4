import type { ChannelMessage, ChannelSnapshot, Member, Problem } from '../api.js'

/** Place in a room's history. */
export interface Position {
  readonly epoch: string
  readonly offset: number
}

/** What happens to a channel. */
export type ChannelEvent =
  | { readonly type: 'joining' }
  /** `recovered` false: messages were lost. */
  | { readonly type: 'joined'; readonly recovered: boolean; readonly position: Position | null }
  | { readonly type: 'message'; readonly message: ChannelMessage }
  | { readonly type: 'members'; readonly members: readonly Member[]; readonly count: number }
  | { readonly type: 'came'; readonly member: Member }
  | { readonly type: 'went'; readonly client: string }
  | { readonly type: 'refused'; readonly problem: Problem }

export interface ChannelState {
  readonly shown: ChannelSnapshot
  /** Where the history was heard up to; null in `latest` channels and before the first join. */
  readonly position: Position | null
}

const MAX_MESSAGES = 200
const MAX_MEMBERS = 200

export const JOINING: ChannelState = {
  shown: {
    state: 'joining',
    messages: [],
    members: [],
    memberCount: 0,
    recovered: true,
    error: null,
  },
  position: null,
}

/** The state after an event. The same state comes back for a message that was heard before. */
export function happen(state: ChannelState, event: ChannelEvent): ChannelState {
  const { shown, position } = state
  const show = (changes: Partial<ChannelSnapshot>): ChannelState => ({
    shown: { ...shown, ...changes },
    position,
  })
  switch (event.type) {
    case 'joining':
      return shown.state === 'joining' ? state : show({ state: 'joining' })
    case 'joined':
      return {
        shown: { ...shown, state: 'joined', recovered: event.recovered, error: null },
        // after a recovery what was missed comes next: the position moves with it
        position: event.recovered && position?.epoch === event.position?.epoch ? position : event.position,
      }
    case 'message':
      return withMessage(state, event.message)
    case 'members':
      return show({ members: event.members.slice(0, MAX_MEMBERS), memberCount: event.count })
    case 'came':
      return came(state, event.member)
    case 'went':
      return went(state, event.client)
    case 'refused':
      return show({ state: 'refused', error: event.problem, members: [], memberCount: 0 })
  }
}

function withMessage({ shown, position }: ChannelState, message: ChannelMessage): ChannelState {
  const { offset, key } = message
  if (offset === null) {
    const others = shown.messages.filter((one) => one.key !== key)
    return { shown: { ...shown, messages: [...others, message].slice(-MAX_MESSAGES) }, position }
  }
  if (position !== null && offset <= position.offset) return { shown, position }
  return {
    shown: { ...shown, messages: [...shown.messages, message].slice(-MAX_MESSAGES) },
    position: { epoch: position?.epoch ?? '', offset },
  }
}

function came({ shown, position }: ChannelState, member: Member): ChannelState {
  const known = shown.members.some(({ client }) => client === member.client)
  if (known) return { shown, position }
  const members = [...shown.members, member].slice(0, MAX_MEMBERS)
  return { shown: { ...shown, members, memberCount: shown.memberCount + 1 }, position }
}

/** Somebody who came and went at once is told to have left only; those above the list are counted, not named. */
function went({ shown, position }: ChannelState, client: string): ChannelState {
  const members = shown.members.filter((member) => member.client !== client)
  const counted = members.length < shown.members.length || shown.memberCount > shown.members.length
  if (!counted) return { shown, position }
  return { shown: { ...shown, members, memberCount: shown.memberCount - 1 }, position }
}

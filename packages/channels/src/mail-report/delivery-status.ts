import { addressIn, type Fields, fieldBlocks, printable } from './fields.js'
import type { Outcome } from './report.js'
import { causeOf, enhancedStatusIn, statusFromWords } from './status.js'

const MAX_DIAGNOSTIC = 500

type Action = 'failed' | 'delayed' | 'delivered'

/** The most telling first. */
const ORDER: readonly Action[] = ['failed', 'delayed', 'delivered']

interface Group {
  action: Action
  status: string
  diagnostic: string
  recipient: string | undefined
}

/**
 * A `message/delivery-status` part (RFC 3464). Our mails have one recipient; several groups mean that a forwarder
 * sent it on, so a failure beside a delivery is not permanent. Undefined when no group says what happened.
 */
export function readDeliveryStatus(text: string): Outcome | undefined {
  const groups = fieldBlocks(text).flatMap((fields) => groupOf(fields) ?? [])
  const [telling] = [...groups].sort((a, b) => ORDER.indexOf(a.action) - ORDER.indexOf(b.action))
  if (telling === undefined) return undefined
  const { action, status, diagnostic } = telling
  const recipient = telling.recipient === undefined ? {} : { recipient: telling.recipient }
  if (action !== 'failed') return { kind: action, status, diagnostic, ...recipient }
  const all = groups.every((group) => group.action === 'failed' && group.status.startsWith('5'))
  const cause = causeOf(status, diagnostic)
  return {
    kind: 'bounce',
    permanent: all && cause !== 'unavailable',
    cause,
    status,
    diagnostic,
    ...recipient,
  }
}

function groupOf(fields: Fields): Group | undefined {
  const given = /[245]\.\d{1,3}\.\d{1,3}/.exec(fields.get('status') ?? '')?.[0]
  const action = actionOf(fields.get('action'), given)
  if (action === undefined) return undefined
  const line = (fields.get('diagnostic-code') ?? '').replace(/^\s*[\w-]+\s*;\s*/, '')
  return {
    action,
    status: statusOf({ action, given, line }),
    diagnostic: printable(line, MAX_DIAGNOSTIC),
    recipient: addressIn(fields.get('original-recipient')) ?? addressIn(fields.get('final-recipient')),
  }
}

function actionOf(action: string | undefined, status: string | undefined): Action | undefined {
  const word = action
    ?.trim()
    .toLowerCase()
    .split(/[\s(;]/)[0]
  if (word === 'failed' || word === 'delayed' || word === 'delivered') return word
  if (word === 'relayed' || word === 'expanded') return 'delivered'
  if (status === undefined || word !== undefined) return undefined
  return status.startsWith('5') ? 'failed' : status.startsWith('4') ? 'delayed' : 'delivered'
}

/** The given status, unless it says nothing and the server's line says more, or it contradicts the action. */
function statusOf({
  action,
  given,
  line,
}: {
  action: Action
  given: string | undefined
  line: string
}): string {
  if (action === 'delivered') return given?.startsWith('2') ? given : '2.0.0'
  const silent = given === undefined || given.startsWith('2') || given.endsWith('.0.0')
  const said = silent ? (enhancedStatusIn(line) ?? statusFromWords(line)) : undefined
  if (action === 'delayed') return pick(said, given, '4')
  return pick(said, given, given?.startsWith('4') ? '4' : '5')
}

function pick(said: string | undefined, given: string | undefined, family: '4' | '5'): string {
  if (said?.startsWith(family)) return said
  return given?.startsWith(family) ? given : `${family}.0.0`
}

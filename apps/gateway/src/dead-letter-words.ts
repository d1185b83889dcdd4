import type { Reason } from '@carillon/contracts'
import type { RedriveRefusal } from '@carillon/postgres'

/** What stands behind the words of a dead letter, and what can be done. */

interface Said {
  said: string
  remedy: string
}

const REASONS: Partial<Record<Reason, Said>> = {
  PROVIDER_UNAVAILABLE: {
    said: 'No provider took it: every attempt at every account ended without an acceptance.',
    remedy: 'Once the provider answers again, send it again.',
  },
  PROVIDER_REJECTED: {
    said: 'The provider took it and could not bring it.',
    remedy: 'Read what it said; mend the sender, the text or the account, then send it again.',
  },
  PAYLOAD_INVALID: {
    said: 'The provider refuses what it says.',
    remedy:
      'A new version of the workflow mends those to come. This one keeps its words: send it again only if the refusal was wrong.',
  },
  CONFIGURATION: {
    said: 'The account at the provider is not set up for it.',
    remedy: 'Mend it (carillon provider check says what is wrong), then send it again.',
  },
  ADDRESS_INVALID: {
    said: 'There is nobody at this address.',
    remedy: 'It is left alone until the person has a new one; that takes a new event.',
  },
  UNSUBSCRIBED: {
    said: 'Whoever is there wants no messages from this sender.',
    remedy: 'Nothing: it is their word.',
  },
}

/** Why it failed, and the remedy. */
export function wordsOf(reason: Reason | null): Said {
  return (
    REASONS[reason ?? 'PROVIDER_UNAVAILABLE'] ?? {
      said: `It failed: ${reason}.`,
      remedy: 'Read what its attempts say, mend the cause, then send it again.',
    }
  )
}

/** Why one is not sent off again. */
export const REFUSED_BECAUSE: Readonly<Record<RedriveRefusal, string>> = {
  UNKNOWN: 'There is no delivery by this id, or it is kept no more.',
  NOT_DEAD: 'It is no dead letter (any more): it was sent off again already, or arrived after all.',
  EXPIRED: 'Its time is over; nothing is sent after that.',
  USER_GONE: 'The person is deleted or suspended.',
  ADDRESS_GONE: 'The device is gone or belongs to somebody else now.',
  SUPPRESSED: 'Nothing is sent to this address any more: GET /v1/suppressions says why.',
  MAYBE_SENT:
    'An attempt has no known outcome: it may have rung. Ask with evenUnknown to send it all the same.',
}

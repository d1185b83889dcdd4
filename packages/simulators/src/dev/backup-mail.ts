import { type Inbox, record } from '../inbox.js'
import { type SmtpSimulator, startSmtp } from '../smtp.js'
import type { Simulators } from '../start.js'

/** Under `server` in the `raw` of a mail that it took. */
export const BACKUP = 'backup'

/**
 * A second mail server under the authority of the first, with mailboxes, faults and a password of its own. Its mails
 * arrive in the same inbox.
 */
export function startBackupMail(simulators: Simulators): Promise<SmtpSimulator> {
  const { inbox: shared } = simulators
  const inbox: Inbox = {
    list: () => shared.list(),
    add: (message, arrive) =>
      shared.add({ ...message, raw: { ...record(message.raw), server: BACKUP } }, arrive),
    onMessage: (listener) => shared.onMessage(listener),
    clear: () => shared.clear(),
    get total() {
      return shared.total
    },
  }
  const { identity } = simulators.save().authority
  return startSmtp({ identity, inbox, now: Date.now })
}

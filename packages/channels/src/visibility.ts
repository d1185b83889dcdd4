import type { Message } from './message.js'

/** Said where a message that shows nothing can't be sent: browsers show every push, people read every text. */
export const SILENT_NOT_POSSIBLE =
  'SILENT_NOT_POSSIBLE: this channel shows every message, and this one has nothing to show'

/** True when nobody is to see anything of it: it is for the app alone. */
export function isHidden(message: Message): boolean {
  if (message.silent || message.clear !== undefined) return true
  return message.dataOnly === true && !message.title && !message.body
}

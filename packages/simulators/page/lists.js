import { createCard } from './messages.js'
import { createList } from './panels.js'

/** Facts that are good news. */
const GOOD = new Set(['through', 'signature'])

/** Mails, text messages and webhook calls: lists of what arrived, which nothing replaces. */
export function createArrivals(panel, { onWhy, onMail, measuredOf }) {
  const list = createList(panel.part('.messages'), (count) => panel.setFilled(count > 0))
  const buttonsOf = (message) => {
    const buttons = []
    if (onMail) buttons.push({ label: 'Read', kind: 'action', act: () => onMail(message) })
    if (message.nid) buttons.push({ label: 'Why?', kind: 'plain', act: () => onWhy(message.nid) })
    return buttons
  }
  return {
    retain: (keep) => list.retain(keep),
    card: (id) => list.get(id),
    show(message) {
      if (list.has(message.id)) return
      const ms = measuredOf(message.id)
      const card = createCard({
        ...message,
        // a text message has no title: its number stands among the facts
        title: message.provider === 'sms' ? message.to : message.title,
        facts: message.facts.map((fact) => (GOOD.has(fact.label) ? { ...fact, tone: 'good' } : fact)),
        fresh: ms !== undefined,
        raw: message.id,
        buttons: buttonsOf(message),
        ...(onMail ? { onOpen: () => onMail(message) } : {}),
      })
      list.add(card)
      if (ms !== undefined) card.measured(ms)
    },
  }
}

import { liftSuppression, listSuppressions } from './api.js'
import { createButton } from './messages.js'

const KIND_OF = { smtp: 'email', sms: 'phone', webhook: 'webhook' }

/** Which mailboxes, numbers and receivers nothing is sent to any more, each in its panel, with a way back. */
export function createSuppressions(panels, { announce, onProblem }) {
  const show = (all) => {
    for (const [key, kind] of Object.entries(KIND_OF)) {
      const list = panels.get(key).part('.suppressed')
      const own = all.filter((one) => one.kind === kind)
      list.hidden = own.length === 0
      list.replaceChildren(...own.map(lineOf))
    }
  }
  const lineOf = ({ kind, address, reason, detail }) => {
    const line = document.createElement('li')
    const text = document.createElement('span')
    text.textContent = `${address} is suppressed (${reason}${detail ? `: ${detail}` : ''}): nothing is sent there.`
    const lift = async () => {
      await liftSuppression(kind, address)
      announce(`${address} gets messages again`)
      await refresh()
    }
    line.append(text, createButton({ label: 'Lift', act: lift }, `the suppression of ${address}`))
    return line
  }
  const refresh = async () => {
    try {
      const all = await listSuppressions()
      show(all)
      return all
    } catch (error) {
      onProblem(error)
      return []
    }
  }
  return { refresh }
}

const template = document.getElementById('message-template')
const clock = new Intl.DateTimeFormat('en', {
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  hour12: false,
})
const SHOWN = 50

/** A panel with its list of messages, newest first. Each id is shown once. */
export function createPanel(root, { key, title, via, empty }) {
  const section = document.getElementById('device-template').content.firstElementChild.cloneNode(true)
  section.dataset.bell = key
  const heading = section.querySelector('h2')
  heading.id = `panel-${key}`
  heading.textContent = title
  section.setAttribute('aria-labelledby', heading.id)
  section.querySelector('.via').textContent = via
  const emptyLine = section.querySelector('.empty')
  emptyLine.textContent = empty
  const list = section.querySelector('.messages')
  const shown = new Map()
  root.append(section)

  const refreshEmpty = () => section.classList.toggle('filled', shown.size > 0)
  return {
    section,
    has: (id) => shown.has(id),
    get: (id) => shown.get(id),
    setEmpty(text) {
      emptyLine.textContent = text
    },
    /** Adds a card in its place by time. */
    add(card) {
      if (shown.has(card.id)) return
      shown.set(card.id, card)
      const after = [...list.children].find((item) => Number(item.dataset.at) < card.at)
      list.insertBefore(card.element, after ?? null)
      if (shown.size > SHOWN) this.remove(list.lastElementChild.dataset.id)
      refreshEmpty()
    },
    remove(id) {
      shown.get(id)?.element.remove()
      shown.delete(id)
      refreshEmpty()
    },
    /** Takes away all that `keep(card)` says no to. */
    retain(keep) {
      for (const card of [...shown.values()]) if (!keep(card)) this.remove(card.id)
    },
  }
}

/** One message as a card. `buttons`: [{ label, done?, act() }]; `act` may fail, which the card then says. */
export function createCard({ id, at, title, subtitle, body, buttons, fresh, replaces }) {
  const element = template.content.firstElementChild.cloneNode(true)
  element.dataset.id = id
  element.dataset.at = String(at)
  element.classList.toggle('fresh', fresh)
  element.querySelector('h3').textContent = title || '(no title)'
  const sub = element.querySelector('.subtitle')
  sub.hidden = !subtitle
  sub.textContent = subtitle ?? ''
  element.querySelector('.body').textContent = body
  const time = element.querySelector('time')
  time.dateTime = new Date(at).toISOString()
  time.textContent = clock.format(at)
  const row = element.querySelector('.buttons')
  for (const button of buttons) row.append(createButton(button, title))
  return {
    id,
    at,
    element,
    replaces,
    measured(ms) {
      time.textContent = `${ms.toLocaleString('en')} ms`
      time.classList.add('measured')
      time.title = `${clock.format(at)}, ${ms} ms after the ring`
    },
  }
}

function createButton({ label, done, act }, title) {
  const button = document.createElement('button')
  button.type = 'button'
  button.textContent = label
  const hidden = document.createElement('span')
  hidden.className = 'visually-hidden'
  hidden.textContent = `: ${title}`
  button.append(hidden)
  button.addEventListener('click', async () => {
    button.disabled = true
    try {
      await act()
      if (done) {
        button.firstChild.textContent = done
        button.classList.add('done')
      }
    } catch (error) {
      button.firstChild.textContent = `${label} failed`
      button.title = error.message
    } finally {
      button.disabled = false
    }
  })
  return button
}

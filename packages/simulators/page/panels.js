const template = document.getElementById('panel-template')
const SHOWN = 50

/** A panel: its header, and what stands below it. */
export function createPanel(root, { key, title, via, empty }) {
  const section = template.content.firstElementChild.cloneNode(true)
  section.dataset.bell = key
  const heading = section.querySelector('h2')
  heading.id = `panel-${key}`
  heading.textContent = title
  section.setAttribute('aria-labelledby', heading.id)
  section.querySelector('.via').textContent = via
  section.querySelector('.empty').textContent = empty
  root.append(section)
  return {
    key,
    section,
    part: (selector) => section.querySelector(selector),
    setEmpty(text) {
      section.querySelector('.empty').textContent = text
    },
    setFilled: (filled) => section.classList.toggle('filled', filled),
    showCounters({ requests, accepted, refused, repeated }, backup) {
      const parts = [
        [requests, 'requests'],
        [accepted, 'accepted'],
        [refused, 'refused'],
        [repeated, 'repeated'],
        [backup, 'through backup'],
      ]
      const line = section.querySelector('.counters')
      line.replaceChildren()
      for (const [count, name] of parts) {
        if (count === undefined) continue
        const item = document.createElement('span')
        item.classList.toggle('some', count > 0 && (name === 'refused' || name === 'repeated'))
        item.textContent = `${count.toLocaleString('en')} ${name}`
        line.append(item)
      }
      line.hidden = false
    },
  }
}

/** A list of cards, newest first. Each id is shown once. */
export function createList(list, onCount = () => undefined) {
  const shown = new Map()
  const remove = (id) => {
    shown.get(id)?.element.remove()
    shown.delete(id)
    onCount(shown.size)
  }
  return {
    has: (id) => shown.has(id),
    get: (id) => shown.get(id),
    cards: () => shown.values(),
    remove,
    add(card) {
      if (shown.has(card.id)) return
      shown.set(card.id, card)
      const after = [...list.children].find((item) => Number(item.dataset.at) < card.at)
      list.insertBefore(card.element, after ?? null)
      if (shown.size > SHOWN) remove(list.lastElementChild.dataset.id)
      onCount(shown.size)
    },
    /** Takes away all that `keep(card)` says no to. */
    retain(keep) {
      for (const card of [...shown.values()]) if (!keep(card)) remove(card.id)
    },
  }
}

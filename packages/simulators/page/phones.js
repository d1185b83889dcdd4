import { changeDevice } from './api.js'
import { createCard } from './messages.js'
import { createList } from './panels.js'
import { isWebUrl, openUrl } from './receipts.js'

const template = document.getElementById('device-template')
const SILENT_SHOWN = 3

/** The devices of one provider, each with what stands on its screen now, and the silent pushes it got. */
export function createPhones(panel, { receipts, onWhy, onProblem, measuredOf }) {
  const root = panel.part('.phones')
  const devices = new Map()

  const deviceOf = ({ to, name }) => {
    const known = devices.get(to)
    if (known) return known
    const element = template.content.firstElementChild.cloneNode(true)
    element.querySelector('h3').textContent = name
    root.append(element)
    const device = {
      element,
      list: createList(element.querySelector('.messages')),
      online: true,
      silent: [],
    }
    const toggle = element.querySelector('.online')
    toggle.setAttribute('aria-label', `${name} is online`)
    toggle.addEventListener('click', () => {
      void changeDevice(panel.key, to, device.online ? 'offline' : 'online').catch(onProblem)
    })
    devices.set(to, device)
    return device
  }

  const show = (state) => {
    const device = deviceOf(state)
    const { element, list } = device
    device.online = state.online
    element.classList.toggle('offline', !state.online)
    element.querySelector('.online').setAttribute('aria-checked', String(state.online))
    element.querySelector('.online .word').textContent = state.online ? 'online' : 'offline'
    const badge = element.querySelector('.badge')
    badge.hidden = !state.badge
    badge.textContent = state.badge ?? ''
    badge.title = `The number on the icon is ${state.badge}`
    const stored = element.querySelector('.stored')
    const gone = state.state === 'unregistered' || state.state === 'gone'
    stored.hidden = state.stored === 0 && !gone
    stored.textContent = gone ? 'unregistered' : `${state.stored} waiting at the provider`
    const ids = new Set(state.screen.map(({ id }) => id))
    list.retain((card) => ids.has(card.id))
    for (const message of state.screen) {
      if (list.has(message.id)) continue
      const card = createCard({
        ...message,
        fresh: measuredOf(message.id) !== undefined,
        raw: message.id,
        onOpen: () => act(message, 'opened', message.url),
        buttons: buttonsOf(message),
      })
      list.add(card)
      const ms = measuredOf(message.id)
      if (ms !== undefined) card.measured(ms)
      receipts.delivered(message)
    }
    element.classList.toggle('quiet', state.screen.length === 0 && device.silent.length === 0)
  }

  const act = async (message, status, url) => {
    // at once, while the browser still takes it for the person's own doing
    if (url) openUrl(url)
    try {
      await receipts.acted(message, status)
    } catch (error) {
      onProblem(error)
    }
  }
  const buttonsOf = (message) => {
    const buttons = (message.actions ?? []).map((action) => ({
      label: isWebUrl(action.url) ? `${action.title} ↗` : action.title,
      kind: 'action',
      act: () => act(message, 'clicked', action.url),
    }))
    if (message.rt) buttons.push({ label: 'Dismiss', kind: 'plain', act: () => act(message, 'dismissed') })
    if (message.nid) buttons.push({ label: 'Why?', kind: 'plain', act: () => onWhy(message.nid) })
    return buttons
  }

  return {
    card: (id) => [...devices.values()].map(({ list }) => list.get(id)).find(Boolean),
    showDevices(states) {
      const known = new Set(states.map(({ to }) => to))
      for (const [to, { element }] of devices) {
        if (known.has(to)) continue
        element.remove()
        devices.delete(to)
      }
      for (const state of states) show(state)
    },
    /** A push that shows nothing: listed faintly, the newest few. */
    silent(message) {
      const device = devices.get(message.to)
      if (!device || device.silent.includes(message.id)) return
      device.silent.push(message.id)
      device.element.classList.remove('quiet')
      const line = document.createElement('li')
      const time = new Date(message.at).toLocaleTimeString('en', { hour12: false })
      line.textContent = message.clears ? `${time} cleared: read elsewhere` : `${time} silent push`
      const list = device.element.querySelector('.silent')
      list.prepend(line)
      while (list.children.length > SILENT_SHOWN) list.lastElementChild.remove()
      receipts.delivered(message)
    },
    forget() {
      for (const device of devices.values()) {
        device.silent = []
        device.element.querySelector('.silent').replaceChildren()
      }
    },
  }
}

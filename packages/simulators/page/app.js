import { clearMessages, explain, getSession, RequestFailed, ring, sendReceipt, setProvider } from './api.js'
import { createBells } from './bells.js'
import { startInbox } from './inbox.js'
import { createCard, createPanel } from './messages.js'
import { openStream } from './stream.js'

const byId = (id) => document.getElementById(id)
const announcer = byId('announcer')
const announce = (text) => {
  announcer.textContent = text
}

const PANELS = [
  { key: 'inbox', title: 'Browser inbox', via: 'Carillon over SSE', empty: 'Connecting…' },
  {
    key: 'fcm',
    title: 'Android phone',
    via: 'FCM',
    provider: 'FCM',
    empty: 'No notification on this phone.',
  },
  { key: 'smtp', title: 'Mailbox', via: 'E-mail over SMTP', provider: 'SMTP', empty: 'No mail.' },
  { key: 'apns', title: 'iPhone', via: 'APNs', provider: 'APNs', empty: 'No notification on this phone.' },
  {
    key: 'webpush',
    title: 'Desktop',
    via: 'Web Push',
    provider: 'Web Push',
    empty: 'No notification on this desktop.',
  },
  {
    key: 'sms',
    title: 'Text messages',
    via: 'SMS over Twilio’s API',
    provider: 'SMS',
    empty: 'No text message.',
  },
  { key: 'webhook', title: 'Webhook', via: 'Signed HTTPS call', provider: 'webhook', empty: 'No call.' },
]

const bells = createBells(byId('bells'), announce)
const panels = new Map(PANELS.map((panel) => [panel.key, createPanel(byId('devices'), panel)]))
const states = { inbox: 'connecting', messages: 'connecting' }

function showConnection(which, state) {
  states[which] = state
  const banner = byId('banner')
  const lost = Object.values(states).some((one) => one === 'reconnecting' || one === 'refused')
  banner.hidden = !lost
  if (!lost) banner.textContent = ''
  else if (states.inbox === 'refused') banner.textContent = 'The inbox refused the session. Signing in again…'
  else if (states.messages === 'reconnecting')
    banner.textContent = 'Connection lost. Reconnecting; nothing is missed.'
  else banner.textContent = 'The browser inbox is reconnecting; it catches up by itself.'
}

function problem(error) {
  const banner = byId('banner')
  banner.hidden = false
  banner.textContent =
    error instanceof RequestFailed ? error.message : `Something went wrong: ${error.message}`
}

async function why(nid) {
  const answer = await explain(nid)
  byId('why-text').value = answer.text
  byId('why-data').value = JSON.stringify(answer.data, null, 2)
  byId('why-more').open = false
  byId('why').showModal()
}

function showMail(message) {
  byId('mail-title').textContent = message.title || 'Mail'
  byId('mail-frame').src = `/dev/mail/${message.id}`
  byId('mail').showModal()
}

/** What a phone, browser or mailbox lets a person do with a message. */
function buttonsOf(message) {
  const buttons = []
  const acknowledge = (status) => () => (message.rt ? sendReceipt(message.rt, status) : undefined)
  if (message.provider === 'smtp' && message.hasHtml)
    buttons.push({ label: 'Read', act: () => showMail(message) })
  if (message.rt && message.provider !== 'webhook') {
    buttons.push({ label: 'Open', done: 'Opened', act: acknowledge('opened') })
    for (const action of message.actions ?? []) {
      buttons.push({ label: action.title, done: `${action.title} ✓`, act: acknowledge('clicked') })
    }
    if (message.url) buttons.push({ label: 'Click', done: 'Clicked', act: acknowledge('clicked') })
  }
  if (message.nid) buttons.push({ label: 'Why?', act: () => why(message.nid) })
  return buttons
}

function showMessage(message, fresh) {
  const panel = panels.get(message.provider)
  if (!panel || panel.has(message.id)) return
  const replaces = message.collapseKey ? `${message.to} ${message.collapseKey}` : undefined
  // The platform replaces what is on the screen under the same collapse key.
  if (replaces) panel.retain((card) => card.replaces !== replaces || card.at > message.at)
  const title = message.silent ? 'Silent wake-up' : message.title
  const card = createCard({ ...message, title, fresh, replaces, buttons: buttonsOf(message) })
  panel.add(card)
  if (fresh) {
    bells.arrived(message.provider, message.at, (ms) => card.measured(ms))
    const isPush = ['fcm', 'apns', 'webpush'].includes(message.provider)
    if (isPush && message.rt) void sendReceipt(message.rt, 'delivered').catch(() => undefined)
  }
}

function showProviders(providers) {
  for (const { key, provider } of PANELS) {
    if (!provider || !providers[key]) continue
    const { section } = panels.get(key)
    const { broken } = providers[key]
    section.classList.toggle('broken', broken)
    const button = section.querySelector('.break')
    button.hidden = false
    button.textContent = `${broken ? 'Heal' : 'Break'} ${provider}`
    button.dataset.action = broken ? 'heal' : 'break'
    const outage = section.querySelector('.outage')
    outage.hidden = !broken
    outage.textContent = `${provider} fails everything. Ring, then heal: nothing is lost.`
  }
}

async function copy(button, text) {
  try {
    await navigator.clipboard.writeText(text)
    button.textContent = 'Copied'
  } catch {
    button.textContent = 'Select and copy'
  }
  announce(button.textContent)
}

byId('ring').addEventListener('click', async () => {
  const button = byId('ring')
  button.disabled = true
  showConnection('messages', states.messages)
  bells.begin()
  try {
    bells.accepted((await ring()).at)
    announce('Rung')
  } catch (error) {
    bells.failed()
    problem(error)
  } finally {
    button.disabled = false
    button.focus()
  }
})
for (const { key } of PANELS) {
  const button = panels.get(key).section.querySelector('.break')
  button.addEventListener('click', () => {
    void setProvider(key, button.dataset.action).then(showProviders, problem)
  })
}
byId('clear').addEventListener('click', () => void clearMessages().catch(problem))
byId('copy').addEventListener('click', () => void copy(byId('copy'), byId('curl').value))
byId('why-copy').addEventListener('click', () => void copy(byId('why-copy'), byId('why-text').value))
byId('why-close').addEventListener('click', () => byId('why').close())
byId('mail-close').addEventListener('click', () => byId('mail').close())

async function showSession() {
  const { user, curl, workflowFile } = await getSession()
  byId('person-name').textContent = user
  byId('person').hidden = false
  byId('curl').value = curl
  byId('copy').disabled = false
  byId('workflow').textContent = workflowFile
}

openStream('/dev/messages', {
  onState: (state) => showConnection('messages', state),
  onEvent({ event, data }) {
    const value = JSON.parse(data)
    if (event === 'message') showMessage(value, true)
    if (event === 'providers') showProviders(value)
    if (event === 'snapshot') {
      const ids = new Set(value.messages.map(({ id }) => id))
      for (const [key, panel] of panels) if (key !== 'inbox') panel.retain((card) => ids.has(card.id))
      for (const message of value.messages) showMessage(message, false)
      showProviders(value.providers)
    }
  },
})
startInbox({
  panel: panels.get('inbox'),
  bells,
  onWhy: why,
  onState: (state) => showConnection('inbox', state),
})
void showSession().catch((error) => {
  byId('curl').value = error.message
})

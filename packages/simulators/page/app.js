import { clearMessages, explain, getSession, RequestFailed, ring } from './api.js'
import { createBells } from './bells.js'
import { startInbox } from './inbox.js'
import { createArrivals } from './lists.js'
import { createMailReader } from './mail.js'
import { createOutage } from './outage.js'
import { createPanel } from './panels.js'
import { createPhones } from './phones.js'
import { createReceipts } from './receipts.js'
import { openStream } from './stream.js'
import { createStrips } from './strip.js'
import { createSuppressions } from './suppressions.js'

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

const PUSH = ['fcm', 'apns', 'webpush']
const ARRIVALS = ['smtp', 'sms', 'webhook']

const bells = createBells(byId('bells'), announce)
const panels = new Map(PANELS.map((panel) => [panel.key, createPanel(byId('devices'), panel)]))
const states = { inbox: 'connecting', messages: 'connecting' }
/** Milliseconds from the ring to a message, by its id. */
const measured = new Map()
/** Where each delivery arrived, by its id. */
const places = new Map()
const measuredOf = (id) => measured.get(id)
const strips = createStrips(
  ({ id, channel, address }) =>
    places.get(id) ?? (channel === 'email' || channel === 'sms' ? address : undefined),
)
const suppressions = createSuppressions(panels, { announce, onProblem: problem })
const receipts = createReceipts((message, status) => {
  announce(`${status} on ${message.device}`)
  strips.touch(message.nid)
})
const mailReader = createMailReader({
  onChanged(message) {
    strips.touch(message.nid)
    // the history suppresses a moment later
    for (const ms of [300, 1500, 5000, 15_000]) setTimeout(() => void suppressions.refresh(), ms)
  },
})
const shared = { receipts, onWhy: why, onProblem: problem, measuredOf }
const phones = new Map(PUSH.map((key) => [key, createPhones(panels.get(key), shared)]))
const arrivals = new Map(
  ARRIVALS.map((key) => {
    const onMail = key === 'smtp' ? { onMail: (message) => mailReader.open(message) } : {}
    return [key, createArrivals(panels.get(key), { ...shared, ...onMail })]
  }),
)
const outages = new Map(
  PANELS.flatMap(({ key, provider }) => {
    if (!provider) return []
    const onHealed = () => void suppressions.refresh()
    return [[key, createOutage(panels.get(key), { provider, onProblem: problem, onHealed })]]
  }),
)

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

function cardOf({ provider, id }) {
  return (phones.get(provider) ?? arrivals.get(provider))?.card(id)
}

function showMessage(message, fresh) {
  if (message.did) places.set(message.did, message.device)
  if (fresh) {
    bells.arrived(message.provider, message.at, (ms) => {
      measured.set(message.id, ms)
      cardOf(message)?.measured(ms)
    })
    if (message.nid) strips.touch(message.nid)
  }
  if (message.silent) phones.get(message.provider)?.silent(message)
  else arrivals.get(message.provider)?.show(message)
}

function showState({ providers, devices }) {
  for (const [key, state] of Object.entries(providers)) {
    outages.get(key)?.show(state)
    panels.get(key)?.showCounters(state.counters, state.backup)
  }
  for (const [key, states] of Object.entries(devices)) phones.get(key)?.showDevices(states)
}

function showSnapshot({ messages, state }) {
  const ids = new Set(messages.map(({ id }) => id))
  for (const list of arrivals.values()) list.retain((card) => ids.has(card.id))
  if (messages.length === 0) for (const phone of phones.values()) phone.forget()
  showState(state)
  for (const message of messages) showMessage(message, false)
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
byId('clear').addEventListener('click', () => void clearMessages().catch(problem))
byId('copy').addEventListener('click', () => void copy(byId('copy'), byId('curl').value))
byId('why-copy').addEventListener('click', () => void copy(byId('why-copy'), byId('why-text').value))
byId('why-close').addEventListener('click', () => byId('why').close())

async function showSession() {
  const { user, curl, workflowFile, app } = await getSession()
  byId('person-name').textContent = user
  byId('person').hidden = false
  byId('curl').value = curl
  byId('copy').disabled = false
  byId('workflow').textContent = workflowFile
  if (app) {
    byId('app').href = app
    byId('app').hidden = false
  }
}

openStream('/dev/messages', {
  onState: (state) => showConnection('messages', state),
  onEvent({ event, data }) {
    const value = JSON.parse(data)
    if (event === 'message') showMessage(value, true)
    if (event === 'state') showState(value)
    if (event === 'snapshot') showSnapshot(value)
  },
})
startInbox({
  panel: panels.get('inbox'),
  bells,
  strips,
  onWhy: why,
  onProblem: problem,
  onState: (state) => showConnection('inbox', state),
})
void suppressions.refresh()
void showSession().catch((error) => {
  byId('curl').value = error.message
})

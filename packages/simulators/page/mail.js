import { actOnMail, readMail } from './api.js'
import { createButton, showFacts } from './messages.js'

const byId = (id) => document.getElementById(id)
const VIEWS = ['html', 'text', 'headers']
const DKIM = {
  pass: { value: 'verified', tone: 'good' },
  fail: { value: 'not valid', tone: 'bad' },
  none: { value: 'not signed', tone: 'plain' },
  'key unknown': { value: 'signed, key unknown', tone: 'plain' },
}

/** The dialog that shows one mail: as HTML, as text, its headers, and what may come back from it. */
export function createMailReader({ onChanged }) {
  const dialog = byId('mail')
  const tabs = VIEWS.map((view) => byId(`mail-tab-${view}`))
  const result = byId('mail-result')

  const choose = (view) => {
    for (const one of VIEWS) {
      const tab = byId(`mail-tab-${one}`)
      tab.setAttribute('aria-selected', String(one === view))
      tab.tabIndex = one === view ? 0 : -1
      byId(`mail-${one}`).hidden = one !== view
    }
  }
  tabs.forEach((tab, index) => {
    tab.addEventListener('click', () => choose(VIEWS[index]))
    tab.addEventListener('keydown', (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key]
      if (step === undefined) return
      const enabled = tabs.filter((one) => !one.disabled)
      const next = enabled[(enabled.indexOf(tab) + step + enabled.length) % enabled.length]
      next.focus()
      next.click()
    })
  })
  byId('mail-close').addEventListener('click', () => dialog.close())

  const say = (text, undo) => {
    result.replaceChildren(text, ...(undo ? [' ', undo] : []))
  }
  const takeBack = (message) =>
    createButton(
      {
        label: 'Take it back',
        async act() {
          await actOnMail(message.id, 'unsubscribe?undo=1')
          say('Subscribed again.')
          onChanged(message)
        },
      },
      'the unsubscription',
    )
  const actions = (message, details) => [
    ...(details.unsubscribe
      ? [
          {
            label: 'Unsubscribe with one click',
            async act() {
              const { status } = await actOnMail(message.id, 'unsubscribe')
              say(`Unsubscribed: the POST of RFC 8058 was answered ${status}.`, takeBack(message))
              onChanged(message)
            },
          },
        ]
      : []),
    {
      label: 'Bounce',
      async act() {
        const { outcome, detail } = await actOnMail(message.id, 'bounce')
        say(
          `The report was taken: ${outcome} (${detail}). The mailbox is suppressed now; lift it in its panel.`,
        )
        onChanged(message)
      },
    },
    {
      label: 'Complain',
      async act() {
        const { outcome, detail } = await actOnMail(message.id, 'complain')
        const undo = details.unsubscribe ? takeBack(message) : undefined
        say(`The report was taken: ${outcome} (${detail}). Mails of this category are switched off.`, undo)
        onChanged(message)
      },
    },
  ]

  const show = (message, details) => {
    byId('mail-title').textContent = message.title || 'Mail'
    byId('mail-frame').src = details.hasHtml ? `/dev/mail/${message.id}` : 'about:blank'
    byId('mail-tab-html').disabled = !details.hasHtml
    byId('mail-plain').value = details.text
    const { dkim } = details
    const facts = [
      { label: 'DKIM', ...DKIM[dkim.result] },
      ...(dkim.domain ? [{ label: 'signed by', value: `${dkim.selector}._domainkey.${dkim.domain}` }] : []),
      { label: 'return path', value: details.returnPath },
      { label: 'Message-ID', value: details.messageId },
      { label: 'one-click unsubscribe', value: details.unsubscribe ? 'offered' : 'not offered' },
      ...(message.server ? [{ label: 'through', value: message.server, tone: 'good' }] : []),
    ]
    byId('mail-facts').replaceChildren()
    showFacts(byId('mail-facts'), facts)
    const rows = details.headers.map(({ name, value }) => {
      const row = document.createElement('tr')
      const key = document.createElement('th')
      key.scope = 'row'
      key.textContent = name
      const cell = document.createElement('td')
      cell.textContent = value
      row.append(key, cell)
      return row
    })
    byId('mail-header-rows').replaceChildren(...rows)
    byId('mail-actions').replaceChildren(
      ...actions(message, details).map((action) => createButton(action, message.title)),
    )
    say('')
    choose(details.hasHtml ? 'html' : 'text')
    dialog.showModal()
  }

  return {
    /** A mail program tells nobody that a mail was read, and neither does this. */
    async open(message) {
      show(message, await readMail(message.id))
    },
  }
}

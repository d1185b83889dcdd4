import { readRaw } from './api.js'

const template = document.getElementById('message-template')
const clock = new Intl.DateTimeFormat('en', {
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  hour12: false,
})

export const timeOf = (at) => clock.format(at)

/**
 * One message as a card. `onOpen`: what a click on it does. `buttons`: [{ label, done?, kind?, act() }]; `act` may
 * fail, which the card then says. `raw`: the id whose payload can be looked at.
 */
export function createCard(message) {
  const {
    id,
    at,
    title,
    subtitle,
    body,
    imageUrl,
    url,
    facts = [],
    buttons = [],
    fresh,
    raw,
    onOpen,
  } = message
  const element = template.content.firstElementChild.cloneNode(true)
  element.dataset.id = id
  element.dataset.at = String(at)
  element.classList.toggle('fresh', Boolean(fresh))
  element.classList.toggle('activity', Boolean(message.activity))
  showTitle(element, title || '(no title)', onOpen)
  const sub = element.querySelector('.subtitle')
  sub.hidden = !subtitle
  sub.textContent = subtitle ?? ''
  const text = element.querySelector('.body')
  text.textContent = body
  text.hidden = !body
  showImage(element.querySelector('.picture'), imageUrl)
  const link = element.querySelector('.url')
  link.hidden = !url
  link.textContent = url ? shortUrl(url) : ''
  link.title = url ?? ''
  showFacts(element.querySelector('.facts'), facts)
  const time = element.querySelector('time')
  time.dateTime = new Date(at).toISOString()
  time.textContent = clock.format(at)
  const row = element.querySelector('.buttons')
  for (const button of buttons) row.append(createButton(button, title))
  const payload = element.querySelector('.payload')
  if (raw === undefined) payload.remove()
  else fillOnOpen(payload, () => readRaw(raw))
  return {
    id,
    at,
    element,
    measured(ms) {
      time.textContent = `${ms.toLocaleString('en')} ms`
      time.classList.add('measured')
      time.title = `${clock.format(at)}, ${ms} ms after the ring`
    },
  }
}

function showTitle(element, title, onOpen) {
  const heading = element.querySelector('h3')
  if (!onOpen) {
    heading.textContent = title
    return
  }
  const button = document.createElement('button')
  button.type = 'button'
  button.className = 'open'
  button.textContent = title
  button.addEventListener('click', () => void onOpen())
  heading.replaceChildren(button)
  element.classList.add('opens')
}

function showImage(picture, imageUrl) {
  if (!imageUrl) {
    picture.remove()
    return
  }
  picture.hidden = false
  // a picture that can't be had is left out, as a phone does
  picture.addEventListener('error', () => picture.remove())
  picture.src = imageUrl
}

export function showFacts(list, facts) {
  list.hidden = facts.length === 0
  for (const { label, value, tone } of facts) {
    const item = document.createElement('li')
    if (tone) item.dataset.tone = tone
    const name = document.createElement('span')
    name.textContent = `${label} `
    const text = document.createElement('b')
    text.textContent = value
    item.append(name, text)
    item.title = `${label}: ${value}`
    list.append(item)
  }
}

function fillOnOpen(details, read) {
  const text = details.querySelector('textarea')
  details.addEventListener('toggle', async () => {
    if (!details.open || text.value !== '') return
    try {
      text.value = JSON.stringify(await read(), null, 2)
    } catch (error) {
      text.value = error.message
    }
  })
}

export function createButton({ label, done, kind, act }, title) {
  const button = document.createElement('button')
  button.type = 'button'
  button.textContent = label
  if (kind) button.classList.add(kind)
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

function shortUrl(url) {
  return url.replace(/^https?:\/\//, '').replace(/\/$/, '')
}

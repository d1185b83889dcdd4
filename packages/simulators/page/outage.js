import { breakProvider, healProvider } from './api.js'

const WAYS = {
  unavailable: { name: '503 unavailable', says: 'answers 503 to everything' },
  busy: { name: '429, Retry-After 3 s', says: 'answers 429 to everything' },
  hang: { name: 'hangs', says: 'takes requests and never answers' },
  dead: { name: 'dead address', says: 'says that every address is dead' },
  revoked: { name: 'credentials revoked', says: 'refuses our credentials' },
}
const MAIL_WAYS = {
  ...WAYS,
  unavailable: { name: '451 unavailable', says: 'answers 451 to every mail' },
  busy: { name: '450 greylisted', says: 'answers 450 to every mail' },
}

/** The button that breaks and heals a provider, and the choice of how. */
export function createOutage(panel, { provider, onProblem, onHealed }) {
  const { key } = panel
  const ways = key === 'smtp' ? MAIL_WAYS : WAYS
  const control = panel.part('.outage-control')
  const button = panel.part('.break')
  const how = panel.part('.how')
  const notice = panel.part('.outage')
  how.setAttribute('aria-label', `How ${provider} breaks`)
  let broken = false
  how.addEventListener('change', () => {
    how.title = ways[how.value].name
    button.title = `Break ${provider}: ${how.title}`
  })
  button.addEventListener('click', async () => {
    try {
      if (broken) {
        await healProvider(key)
        onHealed()
      } else await breakProvider(key, how.value)
    } catch (error) {
      onProblem(error)
    }
  })
  return {
    show({ broken: now, outage, outages }) {
      control.hidden = false
      if (how.options.length === 0) {
        for (const way of outages) how.add(new Option(ways[way].name, way))
      }
      broken = now
      panel.section.classList.toggle('broken', broken)
      button.textContent = `${broken ? 'Heal' : 'Break'} ${provider}`
      how.hidden = broken
      notice.hidden = !broken
      const says = broken ? ways[outage].says : ''
      notice.textContent = broken ? `${provider} ${says}. Ring, look at the attempts, then heal.` : ''
    },
  }
}

/** An answer that was not 2xx, in words for a person. */
export class RequestFailed extends Error {
  constructor(status, detail) {
    super(detail)
    this.status = status
  }
}

let session

/** The session, asked for once; a refused token makes the next call ask again. */
export async function getSession({ fresh = false } = {}) {
  if (fresh || !session) session = call('/dev/session')
  try {
    return await session
  } catch (error) {
    session = undefined
    throw error
  }
}

export async function userHeaders() {
  const { token } = await getSession()
  return { authorization: `Bearer ${token}` }
}

const segment = encodeURIComponent

export const ring = () => call('/dev/ring', { method: 'POST' })
export const explain = (nid) => call(`/dev/explain/${segment(nid)}`)
/** Each delivery of a notification, with its timeline. */
export const listDeliveries = async (nid) => (await call(`/dev/deliveries/${segment(nid)}`)).deliveries
export const breakProvider = (provider, how) =>
  call(`/dev/providers/${provider}/break?how=${how}`, { method: 'POST' })
export const healProvider = (provider) => call(`/dev/providers/${provider}/heal`, { method: 'POST' })
export const clearMessages = () => call('/dev/messages', { method: 'DELETE' })
/** What came over the wire, decoded. */
export const readRaw = async (id) => (await call(`/dev/messages/${segment(id)}/raw`)).raw
/** `action`: `online`, `offline`, or `dismiss` with a notification's id. */
export const changeDevice = (kind, to, action, nid) =>
  call(`/dev/devices/${kind}/${action}`, json({ to, nid }))
export const readMail = (id) => call(`/dev/mail/${segment(id)}/details`)
/** `action`: `bounce` or `complain`, `unsubscribe`, `unsubscribe?undo=1`. */
export const actOnMail = (id, action) => call(`/dev/mail/${segment(id)}/${action}`, { method: 'POST' })
export const listSuppressions = async () => (await call('/dev/suppressions')).suppressions
export const liftSuppression = (kind, address) =>
  call(`/dev/suppressions/${kind}/${segment(address)}`, { method: 'DELETE' })

/** The signed-in person's inbox, newest first. */
export async function listInbox() {
  const page = await call('/v1/inbox', { headers: await userHeaders() })
  return page.notifications
}

export async function markRead(id) {
  return call(`/v1/inbox/${encodeURIComponent(id)}/read`, { method: 'PUT', headers: await userHeaders() })
}

/** Acknowledges as a device does: with the tokens from the payloads and no sign-in. */
export async function sendReceipts(receipts) {
  const answer = await call('/v1/receipts', json({ receipts }))
  const [refused] = answer?.rejected ?? []
  if (refused) throw new RequestFailed(422, refused.detail)
}

function json(body) {
  return { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }
}

async function call(path, { headers = {}, ...options } = {}) {
  let response
  try {
    response = await fetch(path, { ...options, headers: { 'x-carillon-dev': '1', ...headers } })
  } catch {
    throw new RequestFailed(0, 'Carillon does not answer. Is it still running?')
  }
  const text = await response.text()
  const body = parse(text)
  if (!response.ok) {
    throw new RequestFailed(
      response.status,
      body?.detail ?? body?.title ?? `The answer was ${response.status}.`,
    )
  }
  return body
}

function parse(text) {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

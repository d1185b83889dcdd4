import { eventually } from '@carillon/testkit'
import t from 'tap'
import { quiet, useWorld, type World } from './world.js'

const WORKFLOW = `{ key: offers, on: rides.ride.offered.v1, to: data.user, category: offers, steps: [email],
  content: { title: "{{ data.title }}", html: '<p>Cheap.</p><a href="{{ unsubscribe.url }}">No more of these</a>' } }`

t.test('a mail is ended by its own header, and the next event rings everywhere but there', async (t) => {
  const world = await useWorld(t)
  const { carillon, simulators, url } = world
  await world.start('history,audit,dispatcher,delivery', { CARILLON_PUBLIC_URL: `${url}/` })
  await carillon.call('PUT', '/v1/categories/offers', { name: 'Offers' })
  await carillon.putWorkflow(WORKFLOW, 'offers')
  const ring = async (title: string) => {
    await carillon.trigger('offers', { to: ['ada', 'bob'], data: { user: ['ada', 'bob'], title } })
    await quiet(world)
  }
  const mailTo = (name: string, title: string) =>
    simulators.inbox.list().find((mail) => mail.to === `${name}@example.com` && mail.title === title)

  await ring('First')
  const mail = await eventually(async () => mailTo('ada', 'First'))
  const link = linkOf(mail)
  t.ok(link.startsWith(`${url}/v1/unsubscribe/`), link)
  t.match(mail, { raw: { headers: { 'list-unsubscribe-post': 'List-Unsubscribe=One-Click' } } })
  t.match(mail.html, `<a href="${link}">`, 'and the text has the same link')
  t.not(linkOf(await eventually(async () => mailTo('bob', 'First'))), link, "which is nobody else's")

  // as RFC 8058 has mail programs do it: no cookie, no credential, the pair as a form
  const form = new FormData()
  form.set('List-Unsubscribe', 'One-Click')
  const answer = await fetch(link, { method: 'POST', body: form, redirect: 'error' })
  t.equal(answer.status, 200)

  await ring('Second')
  await eventually(async () => mailTo('bob', 'Second') !== undefined)
  t.equal(mailTo('ada', 'Second'), undefined)
  t.same(await skipsOf(world, 'ada'), [{ reason: 'UNSUBSCRIBED' }])

  t.equal((await fetch(`${link}/undo`, { method: 'POST' })).status, 200)
  await ring('Third')
  t.ok(await eventually(async () => mailTo('ada', 'Third')), 'and it comes again once taken back')
})

/** What stands in the header of a mail. */
function linkOf({ raw }: { raw: unknown }): string {
  const { headers } = raw as { headers: Record<string, string | undefined> }
  return /^<(.+)>$/.exec(headers['list-unsubscribe'] ?? '')?.[1] ?? ''
}

function skipsOf(world: World, name: string): Promise<object[]> {
  return world.rows(
    `SELECT s->>'reason' AS reason FROM runs r, json_array_elements(r.plan->0->'steps') s
     WHERE r.recipient = $1 AND s->>'outcome' = 'skip'`,
    [name],
  )
}

import type { CarillonClient } from '@carillon/sdk'

/** The people of the demonstration: two roles, two locales. */
export const PEOPLE = {
  ada: {
    name: 'Ada',
    email: 'ada@example.com',
    locale: 'en-GB',
    timezone: 'Europe/London',
    roles: ['customer'],
  },
  mira: {
    name: 'Mira',
    email: 'mira@example.com',
    locale: 'de-AT',
    timezone: 'Europe/Vienna',
    roles: ['driver'],
  },
} as const

/** Makes the people known to Carillon, as a sign-up would. */
export async function introducePeople(carillon: Pick<CarillonClient, 'putUser'>): Promise<void> {
  for (const [id, person] of Object.entries(PEOPLE))
    await carillon.putUser(id, { ...person, roles: [...person.roles] })
}

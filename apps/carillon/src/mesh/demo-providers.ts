import { generateKeyPair } from 'node:crypto'
import { promisify } from 'node:util'
import type { CarillonClient } from '@carillon/sdk'
import { type DkimKeys, type Simulators, startBackupMail } from '@carillon/simulators'

/** The mail servers of the demonstration, and the key that their mails are signed with. */
export interface DemoMail extends AsyncDisposable {
  readonly backup: Awaited<ReturnType<typeof startBackupMail>>
  /** What DNS would answer. */
  readonly keys: DkimKeys
  /** What both accounts have in common. */
  readonly settings: Readonly<Record<string, string>>
}

const DOMAIN = 'carillon.example'
const SELECTOR = 'demo'

/** A second mail server, and a signing key that is new at every start. */
export async function openDemoMail(simulators: Simulators): Promise<DemoMail> {
  const { publicKey, privateKey } = await promisify(generateKeyPair)('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  })
  const backup = await startBackupMail(simulators)
  return {
    backup,
    keys: (domain, selector) => (domain === DOMAIN && selector === SELECTOR ? publicKey : undefined),
    settings: {
      bounceDomain: `bounce.${DOMAIN}`,
      dkimDomain: DOMAIN,
      dkimSelector: SELECTOR,
      dkimPrivateKey: privateKey,
    },
    [Symbol.asyncDispose]: () => backup[Symbol.asyncDispose](),
  }
}

/**
 * Gives the development tenant its accounts, two of them for mail. The simulators' keys are new at every start, so this
 * runs at every start.
 */
export async function introduceProviders(
  carillon: CarillonClient,
  { simulators, mail }: { simulators: Simulators; mail: DemoMail },
): Promise<void> {
  const { smtp } = simulators
  const credentials = {
    ...simulators.credentials,
    smtp: { ...smtp.credentials, ...mail.settings },
    webhook: { secrets: [simulators.webhook.secret] },
  }
  for (const [kind, own] of Object.entries(credentials)) {
    await carillon.call('PUT', `/v1/providers/${kind}`, { credentials: own })
  }
  await carillon.call('PUT', '/v1/providers/smtp', {
    name: 'backup',
    position: 1,
    credentials: { ...mail.backup.credentials, ...mail.settings },
  })
}

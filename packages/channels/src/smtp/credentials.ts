import { readCredentials } from '../credentials-fields.js'

/** A submission server and who sends through it. */
export interface SmtpCredentials {
  host: string
  port: number
  /** TLS from the first byte, which is usual at port 465; otherwise STARTTLS is demanded. */
  secure: boolean
  /** Sends without TLS. Only for a server on the same machine. */
  plaintext: boolean
  user: string | undefined
  password: string | undefined
  from: string
  fromName: string | undefined
  /** Bounces go to `bounceTo` at this domain; without it to `from`, where nobody reads them. */
  bounceDomain: string | undefined
  dkim: { domainName: string; keySelector: string; privateKey: string } | undefined
}

/**
 * Reads `{host, port?, secure?, plaintext?, user?, password?, from, fromName?, bounceDomain?, dkimDomain?,
 * dkimSelector?, dkimPrivateKey?}`. @throws ChannelError `CREDENTIALS_INVALID`
 */
export function readSmtpCredentials(value: unknown): SmtpCredentials {
  return readCredentials('smtp', value, (fields) => {
    const port = fields.optionalNumber('port')
    const secure = fields.optionalBoolean('secure') ?? port === 465
    const dkimDomain = fields.optionalText('dkimDomain')
    const credentials: SmtpCredentials = {
      host: fields.text('host'),
      port: port ?? (secure ? 465 : 587),
      secure,
      plaintext: fields.optionalBoolean('plaintext') ?? false,
      user: fields.optionalText('user'),
      password: fields.optionalText('password'),
      from: fields.text('from'),
      fromName: fields.optionalText('fromName'),
      bounceDomain: fields.optionalText('bounceDomain'),
      dkim:
        dkimDomain === undefined
          ? undefined
          : {
              domainName: dkimDomain,
              keySelector: fields.text('dkimSelector'),
              privateKey: fields.optionalText('dkimPrivateKey') ?? '',
            },
    }
    // Read here, since the signer would fail each mail with a key that is none.
    if (dkimDomain !== undefined) fields.privateKey('dkimPrivateKey', 'rsa')
    if (!Number.isInteger(credentials.port) || credentials.port < 1 || credentials.port > 65_535) {
      fields.refuse('port', 'must be a port number')
    }
    if (!isMailAddress(credentials.from)) fields.refuse('from', 'must be a bare mail address')
    const { bounceDomain } = credentials
    if (bounceDomain !== undefined && !isMailAddress(`bounce@${bounceDomain}`)) {
      fields.refuse('bounceDomain', 'must be a domain')
    }
    if (credentials.user !== undefined && credentials.password === undefined) {
      fields.refuse('password', 'must be given with user')
    }
    return credentials
  })
}

/**
 * True for one bare address `local@domain`. Quoted local parts, lists, groups and control characters are refused: a
 * quoted part can lead mail to another domain.
 */
export function isMailAddress(text: string): boolean {
  return text.length <= 254 && /^[^\s"(),:;<>@[\\\]\p{Cc}]{1,64}@[^\s"(),:;<>@[\\\]\p{Cc}]+$/u.test(text)
}

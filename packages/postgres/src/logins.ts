import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto'
import pg from 'pg'
import { DatabaseError, sqlState } from './errors.js'

export interface Login {
  readonly name: string
  /** Printable ASCII, so that no client normalises it differently. */
  readonly password: string
}

export interface CreateLoginsOptions {
  readonly ownerUrl: string
  readonly requestLogin: Login
  readonly workerLogin: Login
}

// Roles belong to the whole server, so another database's set-up may meet ours: duplicate role or membership,
// unique violation, "tuple concurrently updated" (internal error).
const RACES: ReadonlySet<string> = new Set(['42710', '23505', 'XX000'])
const SCRAM_ITERATIONS = 4096

/**
 * Makes the two logins, members of `carillon_request` and `carillon_worker`, or gives existing ones the passwords
 * said. The server gets SCRAM verifiers, so no password reaches its log. Safe to repeat and to run by several.
 * Throws LOGIN when a login has rights that would defeat row-level security.
 */
export async function createLogins(
  options: CreateLoginsOptions,
): Promise<{ requestUrl: string; workerUrl: string }> {
  if (options.requestLogin.name === options.workerLogin.name) {
    throw new DatabaseError('LOGIN', 'requests and workers need logins of their own')
  }
  const client = new pg.Client({ connectionString: options.ownerUrl })
  await client.connect()
  try {
    await ensureLogin(client, options.requestLogin, 'carillon_request')
    await ensureLogin(client, options.workerLogin, 'carillon_worker')
    await refuseExcessRights(client, options)
  } finally {
    await client.end()
  }
  return {
    requestUrl: urlOf(options.ownerUrl, options.requestLogin),
    workerUrl: urlOf(options.ownerUrl, options.workerLogin),
  }
}

async function ensureLogin(client: pg.Client, login: Login, group: string): Promise<void> {
  const role = pg.escapeIdentifier(login.name)
  const password = pg.escapeLiteral(scramVerifier(login.password))
  for (let left = 5; ; left--) {
    try {
      const found = await client.query('SELECT FROM pg_roles WHERE rolname = $1', [login.name])
      await client.query(
        `${found.rowCount === 0 ? 'CREATE' : 'ALTER'} ROLE ${role} LOGIN PASSWORD ${password}`,
      )
      await client.query(`GRANT ${group} TO ${role}`)
      return
    } catch (error) {
      if (left === 0 || !RACES.has(sqlState(error) ?? '')) throw error
    }
  }
}

async function refuseExcessRights(client: pg.Client, options: CreateLoginsOptions): Promise<void> {
  const { rows } = await client.query<{ name: string }>(
    `SELECT rolname AS name FROM pg_roles
     WHERE rolname IN ($1, $2) AND (rolsuper OR rolbypassrls)
     UNION ALL SELECT $1 WHERE pg_has_role($1, 'carillon_worker', 'MEMBER')
     UNION ALL SELECT $2 WHERE pg_has_role($2, 'carillon_request', 'MEMBER')`,
    [options.requestLogin.name, options.workerLogin.name],
  )
  const first = rows[0]
  if (first !== undefined) {
    throw new DatabaseError('LOGIN', `the login ${first.name} has more rights than its part may have`)
  }
}

function scramVerifier(password: string): string {
  if (!/^[\x20-\x7e]+$/.test(password)) {
    throw new DatabaseError('LOGIN', 'a password is printable ASCII and not empty')
  }
  const salt = randomBytes(16)
  const salted = pbkdf2Sync(password, salt, SCRAM_ITERATIONS, 32, 'sha256')
  const storedKey = createHash('sha256').update(hmac(salted, 'Client Key')).digest('base64')
  const serverKey = hmac(salted, 'Server Key').toString('base64')
  return `SCRAM-SHA-256$${SCRAM_ITERATIONS}:${salt.toString('base64')}$${storedKey}:${serverKey}`
}

function hmac(key: Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest()
}

function urlOf(ownerUrl: string, login: Login): string {
  const url = new URL(ownerUrl)
  url.username = encodeURIComponent(login.name)
  url.password = encodeURIComponent(login.password)
  return url.href
}

// Writes the env files of compose.yaml into deploy/secrets, readable by their owner alone. Never overwrites any.
import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const folder = join(import.meta.dirname, 'secrets')
if (existsSync(folder)) {
  console.error(`${folder} is there already; new secrets would lock out what runs with the old ones`)
  process.exit(1)
}
const secret = () => randomBytes(32).toString('base64url')
const [owner, request, worker] = [secret(), secret(), secret()]
const address = (user, password) => `postgres://${user}:${password}@postgres:5432/carillon`

const files = {
  'postgres.env': {
    POSTGRES_USER: 'carillon_owner',
    POSTGRES_PASSWORD: owner,
    POSTGRES_DB: 'carillon',
  },
  'owner.env': {
    DATABASE_OWNER_URL: address('carillon_owner', owner),
    CARILLON_REQUEST_PASSWORD: request,
    CARILLON_WORKER_PASSWORD: worker,
  },
  'roles.env': {
    DATABASE_URL: address('carillon_edge', request),
    DATABASE_WORKER_URL: address('carillon_workers', worker),
    CARILLON_TOKEN_KEY: secret(),
    CARILLON_MASTER_KEY: secret(),
    CARILLON_RECEIPT_KEY: secret(),
  },
}

mkdirSync(folder, { mode: 0o700 })
for (const [name, values] of Object.entries(files)) {
  const lines = Object.entries(values).map(([key, value]) => `${key}=${value}\n`)
  writeFileSync(join(folder, name), lines.join(''), { mode: 0o600 })
}
console.log(`${Object.keys(files).join(', ')} are in ${folder}; keep a copy where your backups are`)

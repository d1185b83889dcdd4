import { execFile } from 'node:child_process'
import { cp, mkdir, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { AuditConfig } from '@carillon/audit'
import { DeliveryConfig } from '@carillon/delivery'
import { DispatcherConfig } from '@carillon/dispatcher'
import { GatewayConfig } from '@carillon/gateway'
import { HistoryConfig } from '@carillon/history'
import { configSchema as RealtimeConfig } from '@carillon/realtime'
import { readConfig } from '@carillon/service'
import { useFolder } from '@carillon/testkit'
import t, { type Test } from 'tap'
import type { TObject } from 'typebox'
import { parse } from 'yaml'
import { ROLE_NAMES } from '../src/mesh/role-names.js'
import { parseRoles } from '../src/mesh/roles.js'

interface ComposeService {
  image: string
  command?: string[]
  env_file?: string
  environment?: Record<string, string>
  depends_on?: Record<string, { condition: string }>
  networks?: string[]
  ports?: string[]
  volumes?: string[]
  read_only?: boolean
}

interface Compose {
  services: Record<string, ComposeService>
  networks: Record<string, unknown>
}

const DEPLOY = fileURLToPath(new URL('../../../../deploy/', import.meta.url))
const run = promisify(execFile)

const compose = parse(await readFile(join(DEPLOY, 'compose.yaml'), 'utf8'), { merge: true }) as Compose
const ours = Object.entries(compose.services).filter(([, service]) =>
  service.image.includes('CARILLON_IMAGE'),
)
const roleServices = ours.filter(([, service]) => service.command?.[0] === 'serve')
const rolesOf = (service: ComposeService): string[] =>
  parseRoles((service.command?.[1] ?? '').replace(/^--roles=/, ''))

t.test('every role of the mesh runs in exactly one service', async (t) => {
  const running = roleServices.flatMap(([, service]) => rolesOf(service))
  t.same(running.sort(), [...ROLE_NAMES].sort())
})

t.test('what is no role is a job that the roles wait for', async (t) => {
  const jobs = ours.filter(([, service]) => service.command?.[0] !== 'serve')
  t.same(
    jobs.map(([, service]) => service.command?.slice(0, 2)),
    [['migrate'], ['topology', 'apply']],
  )
  for (const [name, service] of roleServices) {
    for (const [job] of jobs) {
      t.equal(
        service.depends_on?.[job]?.condition,
        'service_completed_successfully',
        `${name} waits for ${job}`,
      )
    }
  }
})

t.test('secrets and environment together are a whole configuration for each role', async (t) => {
  const files = await makeSecrets(t)
  t.same(Object.keys(files).sort(), ['owner.env', 'postgres.env', 'roles.env'])
  const schemas: Readonly<Record<string, TObject>> = {
    audit: AuditConfig,
    history: HistoryConfig,
    delivery: DeliveryConfig,
    dispatcher: DispatcherConfig,
    realtime: RealtimeConfig,
    gateway: GatewayConfig,
  }
  for (const [name, service] of roleServices) {
    const secrets = files[service.env_file?.replace(/^secrets\//, '') ?? '']
    // what compose fills in from its own environment stays at its default
    const env = Object.fromEntries(
      Object.entries({ ...secrets, ...service.environment }).filter(([, value]) => !value.startsWith('${')),
    )
    for (const key of ['NATS_URL', 'REDIS_URL', 'DATABASE_URL', 'DATABASE_WORKER_URL'])
      t.ok(env[key], `${name} has ${key}`)
    for (const role of rolesOf(service))
      t.doesNotThrow(() => readConfig(schemas[role] as TObject, { env }), `${name} can start ${role}`)
  }
  const owner = files['owner.env'] ?? {}
  const roles = files['roles.env'] ?? {}
  t.match(
    roles.DATABASE_URL,
    owner.CARILLON_REQUEST_PASSWORD,
    'requests sign in with the password of their login',
  )
  t.match(roles.DATABASE_WORKER_URL, owner.CARILLON_WORKER_PASSWORD, 'workers too')
  t.match(owner.DATABASE_OWNER_URL, files['postgres.env']?.POSTGRES_PASSWORD, 'the owner too')
})

t.test(
  'only the edge can be reached, nothing of ours writes its root, and files that are mounted exist',
  async (t) => {
    const open = Object.entries(compose.services).filter(([, service]) => service.ports !== undefined)
    t.same(
      open.map(([name]) => name),
      ['edge'],
    )
    for (const [name, service] of ours) t.equal(service.read_only, true, `${name} has a read-only root`)
    for (const [name, service] of Object.entries(compose.services)) {
      for (const network of service.networks ?? [])
        t.ok(compose.networks[network], `${name}: network ${network}`)
      for (const volume of service.volumes ?? []) {
        const [source = ''] = volume.split(':')
        if (source.startsWith('.'))
          await t.resolves(readFile(join(DEPLOY, source)), `${name} mounts ${source}`)
      }
    }
  },
)

/** Runs the script on a copy of itself, so that the checkout stays clean. Gives the variables of each file. */
async function makeSecrets(t: Test): Promise<Record<string, Record<string, string>>> {
  const base = await useFolder(t)
  await mkdir(join(base, 'deploy'))
  const script = join(base, 'deploy', 'make-secrets.mjs')
  await cp(join(DEPLOY, 'make-secrets.mjs'), script)
  await run(process.execPath, [script])
  await t.rejects(run(process.execPath, [script]), 'secrets that are there are not replaced')
  const folder = join(base, 'deploy', 'secrets')
  const files: Record<string, Record<string, string>> = {}
  for (const name of await readdir(folder)) {
    const lines = (await readFile(join(folder, name), 'utf8')).trim().split('\n')
    files[name] = Object.fromEntries(
      lines.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
    )
  }
  return files
}

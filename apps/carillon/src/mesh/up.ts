import { rm, stat, writeFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { MAX_EVENT_LOOP_DELAY_MS } from '@carillon/realtime'
import { RidesConfig, start as startRides } from '@carillon/rides'
import { type CarillonClient, connectHttp } from '@carillon/sdk'
import {
  createHealth,
  createHttpServer,
  createLogger,
  createMetrics,
  listen,
  readConfig,
  type Service,
} from '@carillon/service'
import { type DevInboxDeps, devInbox, type Simulators, startSimulators } from '@carillon/simulators'
import type { FastifyInstance } from 'fastify'
import { CommandError, EXIT } from '../terminal/failure.js'
import type { Progress } from '../terminal/progress.js'
import { openAdapters } from './adapters.js'
import { type HeldPort, holdPort } from './address.js'
import { appPage } from './app-page.js'
import { DEMO_USER, introducePeopleOfDemo, makeDemoDevices } from './demo-people.js'
import { introduceProviders, openDemoMail } from './demo-providers.js'
import { createDevEdge } from './dev-edge.js'
import { Disposal } from './disposal.js'
import { type Engines, startEngines } from './engines.js'
import { type MeshEnvironment, meshEnvironment } from './environment.js'
import { openMeshFolder } from './folder.js'
import { loadKeys, type MeshKeys, saveKeys } from './keys.js'
import { lockFolder } from './lock.js'
import { ROLE_NAMES } from './role-names.js'
import { startRoles } from './roles.js'
import { DEVELOPMENT_TENANT, prepareStorage, prepareTenant } from './storage.js'
import { openWorkflowFiles, type WorkflowReports } from './workflow-files.js'

export interface UpOptions {
  /** The project's folder. */
  base: string
  env: MeshEnvironment
  /** 0 or absent: the port of last time, else a free one. */
  port?: number
  workflows: WorkflowReports
  progress: Progress
  /** Ends the start after the step that runs; what was begun is stopped again. */
  signal?: AbortSignal
}

/** A whole mesh that runs: engines, roles, simulators, the dev inbox, the rides service. */
export interface RunningMesh extends AsyncDisposable {
  url: string
  env: MeshEnvironment
  engines: Engines
  keys: MeshKeys
  tenant: string
  simulators: Simulators
  carillon: CarillonClient
  /** Rings every bell of the demonstration person, by the public interface. */
  ring(text?: string): Promise<{ eventId: string; at: number }>
  /** A pasteable line that rings. */
  curl: string
  workflowFile: string
}

const WORKFLOWS = 'workflows'
/** A provider that hangs is given up on within seconds, so that a person sees what comes of it. */
const DEMO_TIMEOUTS = { connectMs: 5_000, requestMs: 5_000, batchMs: 12_000 }

/** Starts everything on one port of loopback. What was begun is stopped again when a later step fails. */
export async function startMesh(options: UpOptions): Promise<RunningMesh> {
  const { progress, signal } = options
  const workflows = await findWorkflows(options.base)
  await using parts = new Disposal()
  const folder = await openMeshFolder(options.base, options.env.CARILLON_DIR)
  const lock = await lockFolder(folder.lock)
  parts.defer(() => lock.release())
  const held = parts.use(await holdPort(folder.port, options.port))
  const keys = await loadKeys(folder.keys)
  const engines = parts.use(await startEngines(folder, keys, options.env, progress))
  signal?.throwIfAborted()
  const { natsUrl, ownerUrl, redisUrl } = engines
  await writeFile(folder.addresses, JSON.stringify({ natsUrl, ownerUrl, redisUrl }), { mode: 0o600 })
  parts.defer(() => rm(folder.addresses, { force: true }))
  const storage = await prepareStorage(engines, keys, progress)
  const apiKey = await prepareTenant(engines.ownerUrl, keys.apiKey)
  await saveKeys(folder.keys, { ...keys, apiKey })
  signal?.throwIfAborted()
  const simulators = parts.use(await startSimulators({ allow: 'development' }))
  const mail = parts.use(await openDemoMail(simulators))
  await writeFile(folder.webhookUrl, simulators.webhook.url)
  parts.defer(() => rm(folder.webhookUrl, { force: true }))
  const publicUrl = `http://127.0.0.1:${held.port}`
  const env = meshEnvironment({
    env: options.env,
    engines,
    storage,
    keys,
    publicUrl,
    providerSettings: { ...simulators.settingsForChannels, timeouts: DEMO_TIMEOUTS },
  })
  const carillon = connectHttp({ url: publicUrl, apiKey, source: '/carillon/up' })
  parts.use(carillon)
  const ring = createRing(carillon, `${publicUrl}/dev/page/icon.svg`)
  const workflowFile = `${WORKFLOWS}/hello.yaml`
  const curl = curlLine(publicUrl, apiKey)
  const introduceDevices = makeDemoDevices(carillon, simulators)
  const page: DevInboxDeps = {
    simulators,
    ring: () => ring(),
    session: async () => ({
      token: (await carillon.userToken(DEMO_USER)).token,
      user: 'Ada',
      curl,
      workflowFile,
      app: '/dev/app',
    }),
    edge: createDevEdge({ url: publicUrl, apiKey, carillon, introduceDevices }),
    mail,
  }
  const services = await progress.step('roles', () =>
    startServices({ env, keys, page, carillon, apiKey, held, publicUrl }),
  )
  parts.use(services)
  signal?.throwIfAborted()
  const files = openWorkflowFiles(workflows, carillon, {
    webhookUrl: simulators.webhook.url,
    reports: options.workflows,
  })
  await progress.step('people, devices and workflows', async () => {
    await introduceProviders(carillon, { simulators, mail })
    // trying the credentials out is not what the page counts
    simulators.reset()
    mail.backup.reset()
    await introducePeopleOfDemo(carillon, introduceDevices)
    await files.pushAll()
  })
  parts.defer(await files.watch())
  const owned = parts.move()
  return {
    url: publicUrl,
    env,
    engines,
    keys: { ...keys, apiKey },
    tenant: DEVELOPMENT_TENANT,
    simulators,
    carillon,
    ring,
    curl,
    workflowFile,
    [Symbol.asyncDispose]: () => owned[Symbol.asyncDispose](),
  }
}

async function findWorkflows(base: string): Promise<string> {
  const folder = resolve(base, WORKFLOWS)
  const found = await stat(folder).catch(() => undefined)
  if (found?.isDirectory() === true) return folder
  throw new CommandError(`There is no folder ${WORKFLOWS} in ${base}.`, {
    remedy: "Start Carillon in the project's folder, or make that folder and put workflow files into it.",
    exitCode: EXIT.usage,
  })
}

interface ServiceParts {
  env: MeshEnvironment
  keys: MeshKeys
  page: DevInboxDeps
  carillon: CarillonClient
  apiKey: string
  held: HeldPort
  publicUrl: string
}

/** The roles, the rides service, the dev inbox and the application's page in this process, on one HTTP server. */
async function startServices(parts: ServiceParts): Promise<AsyncDisposable> {
  const { env } = parts
  await using stack = new Disposal()
  const logger = createLogger({ name: 'carillon', level: env.CARILLON_LOG_LEVEL ?? 'warn' })
  const metrics = createMetrics({ processMetrics: true })
  const health = createHealth()
  const deps = { logger, metrics, health }
  const adapters = stack.use(openAdapters(env, deps))
  // the one process does everything, simulators too: what stands still for a moment is a small machine, not a rush
  const http = await createHttpServer({ ...deps, maxEventLoopDelayMs: MAX_EVENT_LOOP_DELAY_MS })
  const services: Service[] = []
  stack.defer(() => stopServices(services, http))
  services.push(...(await startRoles(ROLE_NAMES, { ...deps, env, adapters, http })))
  const rides = await startRides(
    readConfig(RidesConfig, {
      env: {
        ...env,
        RIDES_DATABASE_URL: env.DATABASE_OWNER_URL,
        RIDES_TOKEN: parts.keys.ridesToken,
        CARILLON_URL: parts.publicUrl,
        CARILLON_API_KEY: parts.apiKey,
        RIDES_NATS_URL: env.RIDES_NATS_URL ?? env.NATS_URL,
        RIDES_CARILLON_TENANT: DEVELOPMENT_TENANT,
      },
    }),
    { ...deps, http },
  )
  services.push(rides)
  await http.register(devInbox, parts.page)
  await http.register(appPage, { carillon: parts.carillon })
  await parts.held.release()
  await listen(http, { host: '127.0.0.1', port: parts.held.port })
  return stack.move()
}

/** Nothing new comes in, what waits in sockets is told, then the roles finish; one that fails stops no other. */
async function stopServices(services: readonly Service[], http: FastifyInstance): Promise<void> {
  // closed in reverse order
  await using order = new Disposal()
  for (const service of services) order.use(service)
  order.defer(() => http.close())
  for (const service of services) order.defer(() => service.drain())
}

function createRing(carillon: CarillonClient, picture: string): RunningMesh['ring'] {
  return async (text = 'Every bell rings.') => {
    const at = Date.now()
    const { id } = await carillon.trigger('hello', {
      to: DEMO_USER,
      data: { userId: DEMO_USER, name: 'Ada', text, picture },
    })
    return { eventId: id, at }
  }
}

function curlLine(url: string, apiKey: string): string {
  const event = JSON.stringify({
    type: 'demo.hello.v1',
    data: { userId: DEMO_USER, name: 'Ada', text: 'Rung from a terminal.' },
  })
  return `curl -X POST ${url}/v1/events -H 'authorization: Bearer ${apiKey}' -H 'content-type: application/json' -d '${event}'`
}

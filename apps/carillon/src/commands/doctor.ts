import { statfs } from 'node:fs/promises'
import { locateEngines, probeNats, probePostgres, probeRedis } from '@carillon/engines'
import { countLetters as countBuried, openConnection, planTopology } from '@carillon/jetstream'
import { countDeadLetters, openDatabase, verifyAudit } from '@carillon/postgres'
import { messageOf } from '@carillon/service'
import pc from 'picocolors'
import type { CommandContext } from '../cli.js'
import { openMeshFolder } from '../mesh/folder.js'
import { readAddresses } from '../mesh/reach.js'
import { readTopology } from '../mesh/topology-files.js'
import { EXIT } from '../terminal/failure.js'

/** One thing that was looked at. */
interface Finding {
  name: string
  ok: boolean
  detail: string
  remedy?: string
}

/** Free space under which engines begin to refuse writes on a busy day. */
const MIN_FREE_BYTES = 2 * 1024 ** 3
const MAX_SKEW_MS = 2_000

/** `carillon doctor`: says what is wrong and what to do. Exit code 1 when anything is. */
export async function doctor(context: CommandContext): Promise<number> {
  const findings: Finding[] = [checkNode()]
  findings.push(await checkDisk(context))
  const addresses = await findAddresses(context)
  if (addresses === undefined) {
    findings.push(await checkPrograms())
    findings.push({
      name: 'mesh',
      ok: true,
      detail: 'does not run here; engines and data were not looked at',
    })
  } else {
    findings.push(...(await checkEngines(addresses)))
    findings.push(
      await attempt('topology', 'Run carillon topology apply.', () => checkTopology(addresses.natsUrl)),
    )
    findings.push(await attempt('database', 'Run carillon migrate.', () => checkDatabase(addresses.ownerUrl)))
    findings.push(
      await attempt('dead letters', 'Start what does not answer, or run carillon migrate.', () =>
        countLetters(addresses),
      ),
    )
  }
  for (const finding of findings) {
    const mark = finding.ok ? pc.green('✓') : pc.red('✗')
    process.stdout.write(`  ${mark} ${finding.name.padEnd(12)} ${finding.detail}\n`)
    if (!finding.ok && finding.remedy !== undefined) process.stdout.write(`    ${finding.remedy}\n`)
  }
  return findings.every((finding) => finding.ok) ? EXIT.ok : EXIT.failed
}

interface Addresses {
  natsUrl: string
  ownerUrl: string
  redisUrl: string
}

async function findAddresses(context: CommandContext): Promise<Addresses | undefined> {
  const { NATS_URL: natsUrl, DATABASE_OWNER_URL: ownerUrl, REDIS_URL: redisUrl } = context.env
  if (natsUrl !== undefined && ownerUrl !== undefined && redisUrl !== undefined)
    return { natsUrl, ownerUrl, redisUrl }
  return readAddresses(context).catch(() => undefined)
}

function checkNode(): Finding {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  const ok = major > 20 || (major === 20 && minor >= 20)
  return { name: 'node', ok, detail: process.version, remedy: 'Install Node.js 20.20 or newer.' }
}

async function checkDisk(context: CommandContext): Promise<Finding> {
  const folder = await openMeshFolder(context.base, context.env.CARILLON_DIR)
  const { bavail, bsize } = await statfs(folder.root)
  const free = bavail * bsize
  return {
    name: 'disk',
    ok: free >= MIN_FREE_BYTES,
    detail: `${(free / 1024 ** 3).toFixed(1)} GiB free`,
    remedy: 'Free some space: full disks make NATS stop accepting.',
  }
}

function checkPrograms(): Promise<Finding> {
  return attempt('engines', 'carillon up fetches what is missing.', async () => {
    const located = await locateEngines()
    return located.map((engine) => `${engine.engine} ${engine.version} (${engine.origin})`).join(', ')
  })
}

async function checkEngines(addresses: Addresses): Promise<Finding[]> {
  const probes = await Promise.all([
    probeNats(addresses.natsUrl),
    probePostgres(addresses.ownerUrl),
    probeRedis(addresses.redisUrl),
  ])
  return probes.map((probe) => ({
    name: probe.engine,
    ok: probe.healthy,
    detail: [probe.version, probe.detail].filter((part) => part !== undefined && part !== '').join(', '),
    remedy: 'Start it, or correct its address.',
  }))
}

async function checkTopology(natsUrl: string): Promise<string> {
  await using connection = await openConnection({ servers: natsUrl, name: 'carillon-doctor' })
  const rows = await planTopology(connection, await readTopology('single'))
  const differing = rows.filter((row) => row.change !== 'foreign')
  if (differing.length > 0) throw new Error(`${differing.length} streams or durables differ from the file`)
  return 'as the file says'
}

async function checkDatabase(ownerUrl: string): Promise<string> {
  await using database = openDatabase({ url: ownerUrl, max: 1, applicationName: 'carillon-doctor' })
  const { rows } = await database.query<{ now: Date; ahead: number; stuck: number; tenants: string[] }>({
    text: `SELECT clock_timestamp() AS now,
      (SELECT count(*)::int FROM pg_class WHERE relname = 'events' || to_char(now() AT TIME ZONE 'UTC' + interval '2 days', '_YYYYMMDD')) AS ahead,
      (SELECT count(*)::int FROM deliveries WHERE due_at < now() - interval '5 minutes') AS stuck,
      (SELECT coalesce(array_agg(id), '{}') FROM tenants) AS tenants`,
  })
  const state = rows[0] as { now: Date; ahead: number; stuck: number; tenants: string[] }
  const skewMs = Math.abs(state.now.getTime() - Date.now())
  if (skewMs > MAX_SKEW_MS) throw new Error(`its clock differs from ours by ${Math.round(skewMs)} ms`)
  if (state.ahead === 0) throw new Error('no partitions are made ahead; is a dispatcher running?')
  if (state.stuck > 0)
    throw new Error(
      `${state.stuck} deliveries have been due for more than five minutes; is a dispatcher running?`,
    )
  for (const tenant of state.tenants) {
    const verdict = await verifyAudit(database, tenant)
    if (!verdict.ok)
      throw new Error(
        `the audit chain of ${tenant} is broken at entry ${verdict.sequence}: ${verdict.problem}`,
      )
  }
  return `schema, partitions, clock and ${state.tenants.length} audit chains are fine`
}

/** Counting stops here. */
const MOST_LETTERS = 10_000

/** What waits for somebody is no fault of the mesh: it is told, and fails nothing. */
async function countLetters({ ownerUrl, natsUrl }: Addresses): Promise<string> {
  await using database = openDatabase({ url: ownerUrl, max: 1, applicationName: 'carillon-doctor' })
  const counts = await countDeadLetters(database, MOST_LETTERS)
  const failed = counts.reduce((sum, { count }) => sum + count, 0)
  const kinds = counts.map(({ channel, reason, count }) => `${count} ${channel} ${reason}`).join(', ')
  await using connection = await openConnection({ servers: natsUrl, name: 'carillon-doctor' })
  const letters = [...(await countBuried(connection))]
  // jobs are the twins of deliveries that failed
  const buried = letters.reduce((sum, [stream, count]) => (stream.startsWith('JOBS_') ? sum : sum + count), 0)
  if (failed + buried === 0) return 'none'
  const most = failed >= MOST_LETTERS ? `${failed} or more` : `${failed}`
  return `${most} deliveries failed${kinds === '' ? '' : ` (${kinds})`}, ${buried} messages were buried: carillon dlq list [--poison]`
}

async function attempt(name: string, remedy: string, check: () => Promise<string>): Promise<Finding> {
  try {
    return { name, ok: true, detail: await check() }
  } catch (error) {
    return {
      name,
      ok: false,
      detail: messageOf(error),
      remedy: (error as { remedy?: string }).remedy ?? remedy,
    }
  }
}

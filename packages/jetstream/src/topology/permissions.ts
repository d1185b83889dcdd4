import { DELIVERY_CHANNELS, jobStream, STREAMS } from '@carillon/contracts'
import type { Topology } from './load.js'

/** What one role may publish on and subscribe to. */
export interface RolePermissions {
  role: string
  publish: string[]
  subscribe: string[]
}

interface RoleNeeds {
  /** Durables it consumes, as `STREAM` or `STREAM/durable`. */
  consumes?: string[]
  /** Subjects it publishes on. */
  publishes?: string[]
  /** Streams it reads back or asks about. */
  reads?: string[]
  /** What else it publishes on: parts of the JetStream API, questions and answers. */
  publishApi?: string[]
  subscribes?: string[]
}

const AUDIT = 'aud.*.*.*'
const DEAD = 'dlq.*.*.*'
const FRAMES = 'rt.*.*.*'

function needsOf(): Record<string, RoleNeeds> {
  const jobs = DELIVERY_CHANNELS.map(jobStream)
  return {
    gateway: {
      publishes: ['evt.>', 'rcp.*.*.*', AUDIT, FRAMES],
      reads: [STREAMS.events, STREAMS.receipts, STREAMS.audit, STREAMS.live, STREAMS.deadLetters],
      // the answers go to the private inbox of who asked
      publishApi: ['live.*.latest.*', '_INBOX_realtime.>'],
      subscribes: ['ask.inbox.*', 'ask.channel-rules.*', 'ask.standing.*'],
    },
    dispatcher: {
      consumes: [STREAMS.events, STREAMS.jobsFanout, STREAMS.advisories],
      publishes: ['job.*.*.*', FRAMES, 'rcp.*.*.*', AUDIT, DEAD],
      reads: [
        STREAMS.events,
        ...jobs,
        STREAMS.jobsFanout,
        STREAMS.live,
        STREAMS.receipts,
        STREAMS.audit,
        STREAMS.deadLetters,
      ],
      // The advisories: taking poison out of a work queue.
      publishApi: jobs.concat(STREAMS.jobsFanout).map((stream) => `$JS.API.STREAM.MSG.DELETE.${stream}`),
    },
    ...Object.fromEntries(
      DELIVERY_CHANNELS.map((channel) => [
        `delivery-${channel}`,
        {
          consumes: [jobStream(channel)],
          publishes: [`rcp.${channel}.*.*`, FRAMES, AUDIT, DEAD],
          reads: [jobStream(channel), STREAMS.receipts, STREAMS.live, STREAMS.audit, STREAMS.deadLetters],
        },
      ]),
    ),
    realtime: {
      publishes: [AUDIT, 'rt.*.room.*', 'live.*.latest.*', 'live.*.presence.*', '_INBOX_realtime.>'],
      reads: [STREAMS.live, STREAMS.audit],
      publishApi: [
        'ask.inbox.*',
        'ask.channel-rules.*',
        'ask.standing.*',
        'ask.channel.*.*',
        'ask.session.*',
      ],
      subscribes: ['live.*.*.*', 'ask.session.*'],
    },
    history: {
      consumes: [STREAMS.receipts],
      publishes: [FRAMES, AUDIT, DEAD],
      reads: [STREAMS.receipts, STREAMS.live, STREAMS.audit, STREAMS.deadLetters],
    },
    audit: { consumes: [STREAMS.audit], publishes: [DEAD], reads: [STREAMS.audit, STREAMS.deadLetters] },
    // `carillon dlq --poison`: letters are read, published where they were, and taken away; jobs come from their rows
    operator: {
      publishes: ['evt.>', 'rcp.*.*.*', AUDIT],
      reads: [STREAMS.deadLetters],
      publishApi: [`$JS.API.STREAM.MSG.DELETE.${STREAMS.deadLetters}`],
    },
  }
}

/** Least privilege per role: exact API subjects, own durables, a private inbox `_INBOX_<role>`. */
export function rolePermissions(topology: Topology): RolePermissions[] {
  const roles = Object.entries(needsOf()).map(([role, needs]) => ({
    role,
    publish: [
      ...(needs.publishes ?? []),
      ...(needs.reads ?? []).flatMap((stream) => [
        `$JS.API.STREAM.INFO.${stream}`,
        `$JS.API.DIRECT.GET.${stream}`,
        `$JS.API.DIRECT.GET.${stream}.>`,
      ]),
      ...(needs.consumes ?? []).flatMap((stream) => consumeSubjects(topology, stream)),
      ...(needs.publishApi ?? []),
    ],
    subscribe: [`_INBOX_${role}.>`, ...(needs.subscribes ?? [])],
  }))
  roles.push({ role: 'topology', publish: ['$JS.API.>'], subscribe: ['_INBOX_topology.>'] })
  return roles
}

/** Both forms of acknowledgement subjects: the server may switch to the one with domain and account. */
function consumeSubjects(topology: Topology, stream: string): string[] {
  const consumers = topology.streams.find(({ name }) => name === stream)?.consumers ?? []
  return consumers.flatMap(({ name }) => [
    `$JS.API.CONSUMER.INFO.${stream}.${name}`,
    `$JS.API.CONSUMER.MSG.NEXT.${stream}.${name}`,
    `$JS.ACK.${stream}.${name}.>`,
    `$JS.ACK.*.*.${stream}.${name}.>`,
  ])
}

/**
 * The server's `permissions.conf`: account MESH with one nkey user per role, account SYS for the operator. Public
 * keys come from the server's environment: `NKEY_GATEWAY`, `NKEY_DELIVERY_PUSH`, …
 */
export function renderPermissions(topology: Topology): string {
  const users = rolePermissions(topology).map(({ role, publish, subscribe }) => {
    const lines = (subjects: string[]): string =>
      subjects.map((subject) => `          "${subject}"`).join('\n')
    return `      {
        nkey: $NKEY_${role.toUpperCase().replaceAll('-', '_')}
        permissions {
          publish: [
${lines(publish)}
          ]
          subscribe: [
${lines(subscribe)}
          ]
        }
      }`
  })
  return `# Made by: carillon topology render permissions
accounts {
  MESH {
    jetstream: enabled
    users: [
${users.join('\n')}
    ]
  }
  SYS {
    users: [ { nkey: $NKEY_SYSTEM } ]
  }
}
system_account: SYS
`
}

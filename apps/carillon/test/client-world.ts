import { createHmac, randomUUID } from 'node:crypto'
import { connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { type Carillon, type CarillonOptions, createCarillon } from '@carillon/client'
import { openConnection } from '@carillon/jetstream'
import { eventually, type TestScope, useFolder } from '@carillon/testkit'
import { EventSource } from 'eventsource'
import { WebSocket } from 'ws'
import { type RunningMesh, startMesh } from '../src/mesh/up.js'
import { PROJECT } from './support.js'
import { eventsHandled } from './world.js'

/** A whole mesh in a folder of the test. */
export async function useMesh(t: TestScope, env: Record<string, string> = {}): Promise<RunningMesh> {
  const directory = join(await useFolder(t), 'mesh')
  const mesh = await startMesh({
    base: PROJECT,
    env: { CARILLON_DIR: directory, ...env },
    workflows: {
      pushed: () => undefined,
      refused: (file, problem) => {
        throw new Error(`${file}: ${problem}`)
      },
    },
    progress: { step: (_name, work) => work(() => undefined) },
  })
  t.teardown(() => mesh[Symbol.asyncDispose]())
  return mesh
}

/** A person's token, as a backend that holds the key signs them. `channels`: what it lets do where. */
export function signToken(
  mesh: RunningMesh,
  user: string,
  claims: { channels?: Record<string, string[]>; seconds?: number; key?: string } = {},
): string {
  const now = Math.floor(Date.now() / 1_000)
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const body = {
    iss: 'carillon',
    aud: 'carillon',
    sub: user,
    tid: mesh.tenant,
    roles: [],
    iat: now,
    exp: now + (claims.seconds ?? 600),
    channels: claims.channels ?? {},
  }
  const signed = `${part({ alg: 'HS256', typ: 'JWT' })}.${part(body)}`
  const key = Buffer.from(claims.key ?? mesh.keys.tokenKey, 'base64url')
  return `${signed}.${createHmac('sha256', key).update(signed).digest('base64url')}`
}

/** A client in Node that is disposed with the test. */
export function useClient(
  t: TestScope,
  mesh: RunningMesh,
  options: Partial<CarillonOptions> & { user?: string } = {},
): Carillon {
  const { user = 'ada', ...rest } = options
  const client = createCarillon({
    url: mesh.url,
    user,
    getToken: async () => signToken(mesh, user),
    WebSocket,
    EventSource,
    ...rest,
  })
  t.teardown(() => client.dispose())
  return client
}

/** Somebody of their own, so that tests don't see each other's notifications. */
export async function newPerson(
  mesh: RunningMesh,
): Promise<{ user: string; ring: (text: string) => Promise<void> }> {
  const user = `client-${randomUUID().slice(0, 8)}`
  await mesh.carillon.putUser(user, { locale: 'en' })
  return {
    user,
    ring: async (text) => {
      await mesh.carillon.publish({ type: 'demo.hello.v1', data: { userId: user, name: user, text } })
    },
  }
}

export interface Network {
  url: string
  /** WebSockets that were made so far, and those that are open. */
  readonly made: number
  readonly open: number
  /** Cuts what is open; new connections are still made. */
  cut(): void
  /** Nothing gets through. */
  down(): void
  up(): void
}

/** A way to the mesh that can be cut, as a train's tunnel does. */
export async function useNetwork(t: TestScope, mesh: RunningMesh): Promise<Network> {
  const { hostname, port } = new URL(mesh.url)
  const sockets = new Set<Socket>()
  let made = 0
  let open = 0
  let isDown = false
  const server = createServer((near) => {
    if (isDown) return void near.destroy()
    let isSocket = false
    near.once('data', (bytes: Buffer) => {
      isSocket = bytes.includes('/v1/connection/websocket')
      if (!isSocket) return
      made += 1
      open += 1
    })
    const far = connect({ host: hostname, port: Number(port) })
    sockets.add(near).add(far)
    near.pipe(far)
    far.pipe(near)
    const end = () => {
      near.destroy()
      far.destroy()
    }
    near.on('close', () => {
      if (isSocket) open -= 1
      sockets.delete(near)
      end()
    })
    far.on('close', () => {
      sockets.delete(far)
      end()
    })
    near.on('error', end)
    far.on('error', end)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const cut = () => {
    for (const socket of sockets) socket.destroy()
  }
  t.teardown(() => {
    cut()
    server.close()
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return {
    url: `http://127.0.0.1:${address.port}`,
    get made() {
      return made
    },
    get open() {
      return open
    },
    cut,
    down: () => {
      isDown = true
      cut()
    },
    up: () => {
      isDown = false
    },
  }
}

/** Waits until a client is connected and shows its inbox. */
export async function whenReady(client: Carillon): Promise<void> {
  await eventually(() => client.state === 'connected' && client.inbox.getSnapshot().status === 'ready')
}

/** Resolves once every event that was published is handled, and all who listen have been told of it. */
export async function whenHandled(mesh: RunningMesh): Promise<void> {
  await using connection = await openConnection({ servers: mesh.engines.natsUrl, name: 'test' })
  await eventually(async () => {
    await eventsHandled(connection)
    return true
  })
}

/** What the server says of somebody's inbox. */
export async function inboxAtServer(mesh: RunningMesh, user: string, filter = 'all') {
  const answer = await fetch(`${mesh.url}/v1/inbox?limit=100&filter=${filter}`, {
    headers: { authorization: `Bearer ${signToken(mesh, user)}` },
  })
  if (!answer.ok) throw new Error(`the inbox answers ${answer.status}: ${await answer.text()}`)
  return (await answer.json()) as {
    notifications: { id: string; body: string; readAt: string | null }[]
    unread: number
  }
}

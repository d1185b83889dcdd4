import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** What we use of tap's `t`: whatever is opened for a test closes with it, in reverse order. */
export interface TestScope {
  teardown(close: () => unknown): void
}

/** A scope that can also record that something was left out, and why. */
export interface SkippableScope extends TestScope {
  pass(name: string, extra: { skip: string }): unknown
}

/** An empty folder that goes when the test ends. Other uids may enter it, as PostgreSQL under root must. */
export async function useFolder(t: TestScope, name = 'carillon'): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), `${name}-`))
  await chmod(folder, 0o755)
  t.teardown(() => rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 }))
  return folder
}

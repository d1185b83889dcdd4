import { existsSync } from 'node:fs'
import { join } from 'node:path'
import {
  CommandFailed,
  defaultCacheRoot,
  EngineUnavailable,
  fetchDebian,
  findOnPath,
  libraryFolders,
  run,
} from '@carillon/engines'
import type { Browser } from 'playwright-core'
import type { SkippableScope } from './scope.js'

export interface Chromium {
  readonly executablePath: string
  readonly env: Readonly<Record<string, string>>
}

const names = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable']
const onMac = '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome'
const flags = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

/**
 * A Chromium that runs here: the system's, else one unpacked from the machine's own package archive into our cache.
 * Throws EngineUnavailable with a remedy.
 */
export async function findChromium(cacheRoot = defaultCacheRoot()): Promise<Chromium> {
  const [installed] = await findOnPath(names)
  const system = installed ?? (existsSync(onMac) ? onMac : undefined)
  if (system !== undefined) return { executablePath: system, env: {} }
  const remedy = 'Install Chromium to run the tests in a browser.'
  const root = await fetchDebian({
    name: 'chromium',
    packages: ['chromium', 'fonts-dejavu-core'],
    suite: 'own',
    dependencies: 'missing',
    cacheRoot,
    remedy,
  })
  // The folder's own start script names absolute paths of an installed system.
  const executablePath = join(root, 'usr/lib/chromium/chromium')
  const libraries = [...(await libraryFolders(root)), join(root, 'usr/lib/chromium')]
  const fonts = existsSync('/etc/fonts/fonts.conf') ? {} : { FONTCONFIG_SYSROOT: root }
  const env = { LD_LIBRARY_PATH: libraries.join(':'), ...fonts }
  await run(executablePath, ['--version'], { env: { ...process.env, ...env }, timeoutMs: 120_000 }).catch(
    (error: unknown) => {
      if (!(error instanceof CommandFailed)) throw error
      throw new EngineUnavailable('chromium', 'the unpacked program does not run here', remedy, error)
    },
  )
  return { executablePath, env }
}

/** A headless browser that closes with the test; undefined, with a named skip, where there is none to be had. */
export async function useChromium(t: SkippableScope): Promise<Browser | undefined> {
  let found: Chromium
  try {
    found = await findChromium()
  } catch (error) {
    if (!(error instanceof EngineUnavailable)) throw error
    t.pass('in a browser', { skip: error.message })
    return undefined
  }
  const { chromium } = await import('playwright-core')
  const browser = await chromium.launch({
    executablePath: found.executablePath,
    args: flags,
    env: { ...stringsOf(process.env), ...found.env },
    timeout: 120_000,
  })
  t.teardown(() => browser.close())
  return browser
}

function stringsOf(env: NodeJS.ProcessEnv): Record<string, string> {
  return Object.fromEntries(
    Object.entries(env).flatMap(([key, value]) => (value === undefined ? [] : [[key, value]])),
  )
}

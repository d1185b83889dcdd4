import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Browser, Page } from 'playwright-core'
import type { Test } from 'tap'
import { build, type InlineConfig } from 'vite'

const ORIGIN = 'http://page.carillon.test'
/** The package's folder, from the compiled module. */
export const PACKAGE = new URL('../../', import.meta.url).pathname
const PICTURE = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64"><rect width="64" height="64" fill="#5b4bdb"/><circle cx="32" cy="32" r="14" fill="#ffd166"/></svg>`

/** The test page, bundled as an application would, with React's checks for developers. */
export interface Site {
  script: string
  style: string
}

export interface World {
  browser: Browser
  site: Site
}

export async function bundleSite(): Promise<Site> {
  return {
    script: await bundle('dist/test/page/main.js', {
      define: { 'process.env.NODE_ENV': '"development"' },
      build: { minify: false },
    }),
    style: await readFile(join(PACKAGE, 'styles.css'), 'utf8'),
  }
}

/** The library alone, without what its users have anyway. */
export function bundleLibrary(): Promise<string> {
  return bundle('dist/src/index.js', {
    build: { minify: true, rollupOptions: { external: [/^react/, /^@carillon\//] } },
  })
}

async function bundle(entry: string, options: InlineConfig): Promise<string> {
  const output = await build({
    configFile: false,
    logLevel: 'silent',
    root: PACKAGE,
    ...options,
    build: {
      ...options.build,
      write: false,
      lib: { entry: join(PACKAGE, entry), formats: ['es'], fileName: 'main' },
    },
  })
  const [made] = Array.isArray(output) ? output : [output]
  if (made === undefined || !('output' in made)) throw new Error('vite made nothing')
  return made.output[0].code
}

export interface OpenOptions {
  /** As in the address: `locale=ar&theme=dark`. */
  query?: string
  size?: { width: number; height: number }
  reducedMotion?: 'reduce' | 'no-preference'
  /** 2 is 200 %. */
  zoom?: number
  /** Time goes on when it is told to. */
  clock?: boolean
}

/** Opens the page; it closes with the test, which fails if the console or React complained of anything. */
export async function openSite(t: Test, { browser, site }: World, options: OpenOptions = {}): Promise<Page> {
  const { query = '', size = { width: 900, height: 900 }, reducedMotion = 'reduce', zoom = 1 } = options
  const page = await browser.newPage({
    viewport: { width: Math.round(size.width / zoom), height: Math.round(size.height / zoom) },
    deviceScaleFactor: zoom,
    reducedMotion,
    timezoneId: 'Europe/Vienna',
    locale: 'en-GB',
  })
  page.setDefaultTimeout(60_000)
  if (options.clock) await page.clock.install()
  const problems: string[] = []
  t.teardown(async () => {
    await page.close()
    if (problems.length > 0) throw new Error(problems.join('\n'))
  })
  page.on('pageerror', (error) => problems.push(error.message))
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') problems.push(message.text())
  })
  await page.route(`${ORIGIN}/**`, (route) => {
    const { pathname } = new URL(route.request().url())
    const files: Record<string, { body: string; contentType: string }> = {
      '/main.js': { body: site.script, contentType: 'text/javascript' },
      '/styles.css': { body: site.style, contentType: 'text/css' },
      '/picture.svg': { body: PICTURE, contentType: 'image/svg+xml' },
    }
    return route.fulfill(files[pathname] ?? { body: HTML, contentType: 'text/html; charset=utf-8' })
  })
  await page.goto(`${ORIGIN}/?${query}`)
  return page
}

const HTML = `<!doctype html><html lang="en"><head><title>Page</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,"><link rel="stylesheet" href="/styles.css">
<style>body { margin: 16px; background: light-dark(#f4f4f8, #12121a); color: light-dark(#1b1b27, #ececf4); font-family: system-ui }</style>
</head><body><div id="root"></div><script type="module" src="/main.js"></script></body></html>`

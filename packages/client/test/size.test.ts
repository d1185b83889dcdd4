import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import t from 'tap'
import { build, type Rollup } from 'vite'

/** Of our own code, beside the library `centrifuge`. */
const MAX_GZIP_BYTES = 15 * 1024

/** Bytes of each part of an app that has `entry` of the package. */
async function sizesOf(entry: string): Promise<number[]> {
  const built = (await build({
    configFile: false,
    logLevel: 'error',
    build: {
      write: false,
      rolldownOptions: {
        input: fileURLToPath(new URL(`../src/${entry}.js`, import.meta.url)),
        external: ['centrifuge'],
        preserveEntrySignatures: 'strict',
      },
    },
  })) as Rollup.RolldownOutput
  return built.output.flatMap((part) => (part.type === 'chunk' ? [gzipSync(part.code).length] : []))
}

t.test('a page pays at most 15 KB for the client, beside centrifuge', async (t) => {
  const [page = 0, ...rest] = await sizesOf('index')
  const [worker = 0] = await sizesOf('shared-worker')
  t.comment(`gzip: page ${page} B, for Web Push ${rest} B, shared worker ${worker} B`)
  t.ok(page > 4_096, `${page} bytes: it is all there`)
  t.ok(page <= MAX_GZIP_BYTES, `page ${page} bytes`)
  t.equal(rest.length, 1, 'Web Push is fetched when it is asked for')
  t.ok(worker <= MAX_GZIP_BYTES, `worker ${worker} bytes`)
})

t.test('nothing runs when the package is imported, so that what is not used costs nothing', async (t) => {
  const { sideEffects } = JSON.parse(await readFile(new URL('../../package.json', import.meta.url), 'utf8'))
  t.same(sideEffects, ['./dist/src/shared-worker.js'])
})

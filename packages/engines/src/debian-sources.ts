import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

/** The machine's own package archive, as its apt is configured: nothing about it is written down here. */
export interface DebianArchive {
  readonly distribution: 'debian' | 'ubuntu'
  readonly codename: string
  readonly uri: string
  /** Content of `signed-by`, or undefined when apt's default keys apply. */
  readonly signedBy: string | undefined
}

interface Entry {
  readonly uri: string
  readonly suites: readonly string[]
  readonly components: readonly string[]
  readonly signedBy: string | undefined
}

/** Undefined on a machine that is neither Debian nor Ubuntu, or whose apt names no archive of its release. */
export async function readDebianArchive(root = '/'): Promise<DebianArchive | undefined> {
  const release = parsePairs(await readIfThere(join(root, 'etc/os-release')))
  const family = [release.get('ID'), ...(release.get('ID_LIKE') ?? '').split(' ')]
  const distribution = family.includes('ubuntu') ? 'ubuntu' : family.includes('debian') ? 'debian' : undefined
  const codename = release.get('UBUNTU_CODENAME') ?? release.get('VERSION_CODENAME')
  if (!distribution || !codename) return undefined
  const entry = (await readEntries(join(root, 'etc/apt'))).find(
    ({ suites, components }) => suites.includes(codename) && components.includes('main'),
  )
  return entry && { distribution, codename, uri: entry.uri, signedBy: entry.signedBy }
}

async function readEntries(folder: string): Promise<Entry[]> {
  const parts = await readdir(join(folder, 'sources.list.d')).catch(() => [])
  const files = ['sources.list', ...parts.sort().map((name) => `sources.list.d/${name}`)]
  const found: Entry[] = []
  for (const file of files) {
    const text = await readIfThere(join(folder, file))
    if (file.endsWith('.sources')) found.push(...parseStanzas(text))
    else if (file.endsWith('.list')) found.push(...parseLines(text))
  }
  return found
}

/** One-line style: `deb [signed-by=…] URI SUITE COMPONENT…`. */
export function parseLines(text: string): Entry[] {
  return text.split('\n').flatMap((line) => {
    const match = /^deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)\s+(.+)$/.exec(line.replace(/#.*/, '').trim())
    if (!match) return []
    const [, options = '', uri = '', suite = '', components = ''] = match
    const signedBy = /signed-by=(\S+)/i.exec(options)?.[1]
    return [{ uri, suites: [suite], components: components.trim().split(/\s+/), signedBy }]
  })
}

/** deb822 style: stanzas of `Key: value`, separated by empty lines. */
export function parseStanzas(text: string): Entry[] {
  const withoutComments = text.replace(/^#.*\n?/gm, '')
  return withoutComments.split(/\n\s*\n/).flatMap((stanza) => {
    const fields = new Map<string, string>()
    for (const [, key = '', value = ''] of stanza.matchAll(/^([\w-]+):[ \t]*(.*(?:\n[ \t].*)*)/gm)) {
      fields.set(key.toLowerCase(), value.trim())
    }
    const words = (key: string) => (fields.get(key) ?? '').split(/\s+/).filter(Boolean)
    if (!words('types').includes('deb') || fields.get('enabled') === 'no') return []
    const key = fields.get('signed-by')
    // An inline key spans lines; only a file name can go into the one-line style that we write.
    const signedBy = key?.includes('\n') ? undefined : key
    return words('uris').map((uri) => ({
      uri,
      suites: words('suites'),
      components: words('components'),
      signedBy,
    }))
  })
}

function parsePairs(text: string): Map<string, string> {
  return new Map(
    [...text.matchAll(/^(\w+)=(.*)$/gm)].map(([, key = '', value = '']) => [
      key,
      value.replace(/^"|"$/g, ''),
    ]),
  )
}

async function readIfThere(file: string): Promise<string> {
  return readFile(file, 'utf8').catch(() => '')
}

import { access, readdir, readFile } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import { useFolder } from '@carillon/testkit'
import t from 'tap'
import { BELLS } from '../src/ring/bells.js'
import { PROJECT, runCli } from './support.js'

/** The script behind `npm start` and its kin. */
const RUN = join(PROJECT, 'tools/run.mjs')

t.test('every npm command of the front page exists', async (t) => {
  const { scripts } = JSON.parse(await readFile(join(PROJECT, 'package.json'), 'utf8')) as {
    scripts: Record<string, string>
  }
  const commands = npmCommands(await readFile(join(PROJECT, 'README.md'), 'utf8'))
  t.ok(commands.includes('npm start'), 'the two commands stand there')
  t.ok(commands.includes('npm test'))
  for (const command of commands) {
    const [, verb = '', name] = command.split(' ')
    const script = verb === 'run' ? name : verb
    t.ok(script !== undefined && script in scripts, command)
  }
})

t.test('npm start -- --once does what the front page says', async (t) => {
  const readme = await readFile(join(PROJECT, 'README.md'), 'utf8')
  const once = npmCommands(readme).find((command) => command.endsWith('--once'))
  t.equal(once, 'npm start -- --once')
  const { code, stdout, stderr } = await runCli(t, ['start', '--', '--once'], {
    script: RUN,
    directory: join(await useFolder(t), 'mesh'),
  })
  t.equal(code, 0, stderr)
  const rang = [...stdout.matchAll(/^rang (\w+) \d+ ms$/gm)].map(([, bell]) => bell)
  t.same(rang, BELLS)
  const shown = [...readme.matchAll(/^rang (\w+) \d+ ms$/gm)].map(([, bell]) => bell as string)
  t.ok(shown.length >= 2, 'the front page shows such lines')
  for (const bell of shown) t.ok(rang.includes(bell), `rang ${bell}`)
})

t.test('every command of the table is in the help, with the options that the table names', async (t) => {
  const readme = await readFile(join(PROJECT, 'README.md'), 'utf8')
  const rows = tableOfCommands(readme)
  const { stdout: help } = await runCli(t, ['--help'])
  const inHelp = [...help.matchAll(/^ {2}([a-z]+)(?= )/gm)]
    .map(([, name]) => name as string)
    .filter((name) => name !== 'help')
  t.same(rows.map(({ command }) => command).sort(), inHelp.sort(), 'the same commands, none more')
  for (const { command, options } of rows) {
    if (options.length === 0) continue
    const { stdout } = await runCli(t, [command, '--help'])
    for (const option of options) t.match(stdout, new RegExp(`${option}\\b`), `${command} ${option}`)
  }
})

t.test('every relative link in the documentation leads somewhere', async (t) => {
  const files = await documents()
  t.ok(files.length > 10)
  let links = 0
  for (const file of files) {
    const text = withoutCode(await readFile(file, 'utf8'))
    for (const [, target = ''] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(target)) continue
      links += 1
      const [path = '', heading] = target.split('#')
      const linked = path === '' ? file : join(dirname(file), path)
      const told = `${relative(PROJECT, file)} → ${target}`
      if (!(await exists(linked))) t.fail(told)
      else if (heading !== undefined && linked.endsWith('.md')) {
        const headings = headingsOf(await readFile(linked, 'utf8'))
        if (!headings.includes(heading)) t.fail(`${told}: there is no such heading`)
      }
    }
  }
  t.ok(links > 10, `${links} links in ${files.length} files`)
})

/** Lines of `sh` blocks that begin with npm. */
function npmCommands(markdown: string): string[] {
  return [...markdown.matchAll(/^```sh\n([\s\S]*?)^```$/gm)]
    .flatMap(([, block = '']) => block.split('\n'))
    .map((line) => line.replace(/\s+#.*$/, '').trim())
    .filter((line) => line.startsWith('npm '))
}

/** Rows like `| \`up [--once] [--port n]\` | … |` of the section on the command line. */
function tableOfCommands(markdown: string): { command: string; options: string[] }[] {
  const section = /^## The command line\n([\s\S]*?)(?=^## )/m.exec(markdown)?.[1] ?? ''
  return [...section.matchAll(/^\| `([a-z]+)([^`]*)`/gm)].map(([, command = '', rest = '']) => ({
    command,
    options: [...rest.matchAll(/--[a-z-]+/g)].map(([option]) => option),
  }))
}

/** The front page, what stands under docs, and each folder's own README. */
async function documents(): Promise<string[]> {
  const below = async (folder: string, wanted: (name: string) => boolean): Promise<string[]> => {
    const entries = await readdir(join(PROJECT, folder), { withFileTypes: true })
    const found = await Promise.all(
      entries.map((entry) => {
        const path = join(folder, entry.name)
        if (entry.isDirectory()) return /^(node_modules|dist)$/.test(entry.name) ? [] : below(path, wanted)
        return entry.isFile() && wanted(entry.name) ? [join(PROJECT, path)] : []
      }),
    )
    return found.flat()
  }
  const isReadme = (name: string) => name === 'README.md'
  const atTop = (await readdir(PROJECT)).filter((name) => name.endsWith('.md'))
  return [
    ...atTop.map((name) => join(PROJECT, name)),
    ...(await below('docs', (name) => name.endsWith('.md'))),
    ...(await below('apps', isReadme)),
    ...(await below('packages', isReadme)),
    ...(await below('tools', isReadme)),
    ...(await below('deploy', isReadme)),
    ...(await below('nats', isReadme)),
  ]
}

function withoutCode(markdown: string): string {
  return markdown.replace(/^```[\s\S]*?^```$/gm, '').replace(/`[^`\n]*`/g, '')
}

/** Anchors of the headings, as pages make them. */
function headingsOf(markdown: string): string[] {
  return [...markdown.replace(/^```[\s\S]*?^```$/gm, '').matchAll(/^#+ (.+)$/gm)].map(([, title = '']) =>
    title
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s-]/gu, '')
      .trim()
      .replace(/\s/g, '-'),
  )
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}

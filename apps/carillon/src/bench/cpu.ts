import { readdir, readFile } from 'node:fs/promises'

/** CPU seconds that a process and its children have used, by the kernel's account (Linux). */
export async function cpuSeconds(pid: number): Promise<number> {
  const ticks = await ticksOf(pid)
  const children = await childrenOf(pid)
  const theirs = await Promise.all(children.map((child) => ticksOf(child)))
  return (ticks + theirs.reduce((sum, value) => sum + value, 0)) / TICKS_PER_SECOND
}

/** What Linux counts in on every architecture we run on (sysconf(_SC_CLK_TCK)). */
const TICKS_PER_SECOND = 100

/** utime, stime and those of children that ended (fields 14 to 17 of /proc/<pid>/stat). */
async function ticksOf(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return [11, 12, 13, 14].reduce((sum, index) => sum + Number(fields[index] ?? 0), 0)
}

/** Processes below one, at any depth. */
export async function childrenOf(pid: number): Promise<number[]> {
  const tasks = await readdir(`/proc/${pid}/task`).catch(() => [])
  const lists = await Promise.all(
    tasks.map((task) => readFile(`/proc/${pid}/task/${task}/children`, 'utf8').catch(() => '')),
  )
  const direct = lists.flatMap((list) => list.split(' ').filter((text) => text !== '')).map(Number)
  const deeper = await Promise.all(direct.map(childrenOf))
  return [...direct, ...deeper.flat()]
}

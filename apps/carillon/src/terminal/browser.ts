import { spawn } from 'node:child_process'

/** Opens a page where somebody sits in front of it: not over SSH, not in CI, not without a display. */
export function openBrowser(url: string, env: NodeJS.ProcessEnv): void {
  if (env.CI !== undefined || env.SSH_CONNECTION !== undefined || !process.stdout.isTTY) return
  const command =
    process.platform === 'darwin' ? 'open' : process.platform === 'win32' ? 'explorer' : 'xdg-open'
  if (process.platform === 'linux' && env.DISPLAY === undefined && env.WAYLAND_DISPLAY === undefined) return
  const child = spawn(command, [url], { stdio: 'ignore', detached: true })
  // no browser to open is no failure: the address stands in the terminal
  child.on('error', () => child.unref())
  child.unref()
}

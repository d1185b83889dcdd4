import { EngineFailed } from './errors.js'
import { freePort } from './free-port.js'

/**
 * Runs `start` with the wanted port, or, when that is 0, with free ones until no other process was quicker.
 * A wanted port that is taken is the caller's error and thrown.
 */
export async function onFreePort<T>(wanted: number, start: (port: number) => Promise<T>): Promise<T> {
  if (wanted !== 0) return start(wanted)
  for (let attempt = 1; ; attempt++) {
    try {
      return await start(await freePort())
    } catch (error) {
      if (!(error instanceof EngineFailed && error.portTaken) || attempt === 5) throw error
    }
  }
}

/** Kills or passes; called at named places between effects. */
export type Failpoint = (name: string) => void

/**
 * Fail-points for crash tests: with `spec` = `name:n` the process kills itself, unclean, at the n-th pass of that
 * place. Without a spec it costs one call. Refused where `production` is true.
 */
export function createFailpoint(spec: string | undefined, options: { production: boolean }): Failpoint {
  if (spec === undefined || spec === '') return () => undefined
  if (options.production)
    throw new Error('Fail-points are for tests: unset CARILLON_FAILPOINT in production.')
  const [wanted, count = '1'] = spec.split(':')
  let left = Number.parseInt(count, 10)
  return (name) => {
    if (name === wanted && --left === 0) process.kill(process.pid, 'SIGKILL')
  }
}

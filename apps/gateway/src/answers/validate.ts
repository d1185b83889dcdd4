import { HttpProblem } from '@carillon/service'
import type { Static, TSchema } from 'typebox'
import { Compile } from 'typebox/compile'

/** Gives the value if it has the shape. @throws HttpProblem 400 `VALIDATION` with the first field that hasn't */
export type Check<T> = (value: unknown) => T

/** Compiling takes milliseconds, so a check is made once and kept. */
export function createCheck<S extends TSchema>(schema: S): Check<Static<S>> {
  const shape = Compile(schema)
  return (value) => {
    if (shape.Check(value)) return value as Static<S>
    const [first] = shape.Errors(value)
    const field = first?.instancePath.replace(/^\//, '').replaceAll('/', '.') || 'params'
    throw new HttpProblem(400, 'VALIDATION', `${field} ${first?.message ?? 'is not valid'}.`, { field })
  }
}

import { LANES } from '@carillon/contracts'
import { type TProperties, Type } from 'typebox'

/** Shapes that several others are made of. Nothing that isn't in these files is accepted; examples are true. */

export const strict = { additionalProperties: false } as const
export const text = (max: number, description?: string) =>
  Type.String({ minLength: 1, maxLength: max, ...(description === undefined ? {} : { description }) })
export const oneOf = <T extends string>(values: readonly T[], description?: string) =>
  Type.Unsafe<T>({ type: 'string', enum: [...values], ...(description === undefined ? {} : { description }) })
export const nullableText = (max: number) =>
  Type.Unsafe<string | null>({ type: ['string', 'null'], maxLength: max })
export const moment = Type.String({ format: 'date-time' })
export const nullableMoment = Type.Unsafe<string | null>({ type: ['string', 'null'] })
export const nullableString = Type.Unsafe<string | null>({ type: ['string', 'null'] })
export const answer = <P extends TProperties>(properties: P, description?: string) =>
  Type.Object(properties, description === undefined ? {} : { description })
export const Key = Type.String({ pattern: '^[a-z0-9][a-z0-9-]{0,63}$' })
export const Uuid = Type.String({
  pattern: '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$',
})
export const ExternalId = text(256, 'The user as you call them.')
export const LaneSchema = oneOf(LANES)
/** `limit` of a page: text, since nothing is coerced. */
export const LimitText = Type.String({
  pattern: '^([1-9][0-9]?|1[0-9]{2}|200)$',
  description: '1 to 200; 50 unless said.',
})
export function limitOf(value: string | undefined): number {
  return value === undefined ? 50 : Number(value)
}

import { ContentSchema, LayoutSchema, PartialSchema } from '@carillon/contracts'
import { type TSchema, Type } from 'typebox'
import { answer, moment, nullableMoment, oneOf, strict } from './shapes.js'

/** Workflows and templates, and their versions. */

export const WORKFLOW_EXAMPLE = {
  key: 'ride-accepted',
  on: 'rides.ride.accepted.v1',
  to: 'data.customerId',
  content: { title: '{{ data.driver }} is on the way', body: '{{ data.minutes }} min' },
  steps: ['inbox', { wait: '20s' }, 'push'],
}
export const PublishedAnswer = answer({
  key: Type.String(),
  version: Type.Integer(),
  changed: Type.Boolean(),
})
export const VersionAnswer = answer({
  key: Type.String(),
  version: Type.Integer(),
  status: Type.String(),
  kind: Type.Optional(Type.String()),
  createdAt: moment,
  definition: Type.Optional(Type.Unknown()),
  locales: Type.Optional(Type.Unknown()),
})
const VERSION_STATES = ['draft', 'shadow', 'published'] as const
export const WorkflowVersionName = Type.String({
  pattern: '^([1-9][0-9]{0,8}|draft|shadow|published)$',
  description: 'A number, or draft, shadow or published.',
})
/** By number, or by what it is now. */
export function wantedVersion(
  name: string | undefined,
): number | (typeof VERSION_STATES)[number] | undefined {
  return name === undefined ? undefined : (VERSION_STATES.find((state) => state === name) ?? Number(name))
}
const expect = Type.Optional(
  Type.String({
    pattern: '^[0-9]{1,9}$',
    description: 'Version that is published, 0 for none: when another one is, nothing is done (409).',
  }),
)
export const ExpectQuery = Type.Object({ expect }, strict)
export const WorkflowsQuery = Type.Object(
  { status: Type.Optional(oneOf(VERSION_STATES, 'published unless said.')) },
  strict,
)
export const PutWorkflowQuery = Type.Object(
  { as: Type.Optional(oneOf(['published', 'draft', 'shadow'], 'published unless said.')), expect },
  strict,
)
export function expectedOf(query: { expect?: string }): number | undefined {
  return query.expect === undefined ? undefined : Number(query.expect)
}
export const WorkflowChangeAnswer = answer({
  key: Type.String(),
  version: Type.Integer(),
  changed: Type.Boolean(),
  previous: Type.Unsafe<number | null>({
    type: ['integer', 'null'],
    description: 'Version that was in force before.',
  }),
})
export const WorkflowVersionAnswer = answer({
  key: Type.String(),
  version: Type.Integer(),
  status: Type.String(),
  createdAt: moment,
  publications: Type.Array(Type.Object({ from: moment, to: nullableMoment }), {
    description: 'When it was in force, oldest first; `to` is null while it is.',
  }),
})
const localised = <S extends TSchema>(document: S) =>
  Type.Record(Type.String({ pattern: '^[A-Za-z]{2,8}([-_][A-Za-z0-9]{1,8})*$' }), document, {
    ...strict,
    minProperties: 1,
    maxProperties: 200,
  })
const draft = Type.Optional(Type.Boolean({ description: 'Kept, and not in force until it is published.' }))
export const TemplateSchema = Type.Union(
  [
    Type.Object(
      { kind: Type.Optional(Type.Literal('content')), locales: localised(ContentSchema), draft },
      strict,
    ),
    Type.Object({ kind: Type.Literal('partial'), locales: localised(PartialSchema), draft }, strict),
    Type.Object({ kind: Type.Literal('layout'), locales: localised(LayoutSchema), draft }, strict),
  ],
  {
    description:
      'Texts by locale; de-AT falls back to de, then to the tenant’s, then to default. Partials and layouts have a default.',
    examples: [
      { locales: { en: { title: 'Welcome, {{ user.name }}', body: 'Good to see you.' } } },
      { kind: 'partial', locales: { default: { text: '{{ driver.name }}, {{ driver.car }}' } } },
      { kind: 'layout', locales: { default: { html: '<main>{{ content }}</main>' } } },
    ],
  },
)
export const PublishSchema = Type.Object(
  { version: Type.Integer({ minimum: 1, maximum: 999_999_999 }) },
  { ...strict, examples: [{ version: 1 }] },
)
export const VersionStatus = oneOf(['published', 'draft', 'retired'], 'published unless said.')
export const VersionQuery = Type.Object(
  { version: Type.Optional(Type.String({ pattern: '^[1-9][0-9]{0,8}$' })) },
  strict,
)
export function versionOf(query: { version?: string }): number | undefined {
  return query.version === undefined ? undefined : Number(query.version)
}

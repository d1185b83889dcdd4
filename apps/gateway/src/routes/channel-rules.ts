import { type ChannelRule, DEFAULT_CHANNEL_RULE } from '@carillon/contracts'
import {
  type ChannelRuleRecord,
  deleteChannelRule,
  listChannelRules,
  MAX_CHANNEL_RULES,
  MAX_CHANNEL_SCHEMA_BYTES,
  putChannelRule,
} from '@carillon/postgres'
import { RoomError, type RuleCompiler } from '@carillon/rooms'
import { HttpProblem } from '@carillon/service'
import { Type } from 'typebox'
import type { EdgeDeps } from '../edge-deps.js'
import { principalOf } from '../principal.js'
import { notFound } from '../problems.js'
import { answers, type Edge } from '../route.js'
import {
  ChannelRuleAnswer,
  ChannelRuleParams,
  ChannelRuleSchema,
  ChannelRulesAnswer,
} from '../schemas/channels.js'

const tags = ['channels']

/** How the rooms of each namespace behave. */
export function addChannelRuleRoutes(app: Edge, deps: EdgeDeps): void {
  app.get(
    '/channel-rules',
    {
      schema: {
        summary: 'How rooms behave, by namespace',
        tags,
        response: answers({ 200: ChannelRulesAnswer }),
      },
    },
    async (request) => {
      const { tenant } = principalOf(request)
      const rows = await deps.database.inTenant(tenant, (tx) => listChannelRules(tx, tenant), {
        readOnly: true,
      })
      return { rules: rows.map(shown) }
    },
  )
  app.put(
    '/channel-rules/:namespace',
    {
      schema: {
        summary: 'Make or change the rule of a namespace',
        description: 'In force everywhere within ten seconds.',
        tags,
        params: ChannelRuleParams,
        body: ChannelRuleSchema,
        response: answers({ 200: ChannelRuleAnswer, 201: ChannelRuleAnswer }),
      },
    },
    async (request, reply) => {
      const principal = principalOf(request)
      const { tenant } = principal
      const { namespace } = request.params
      const { allow = DEFAULT_CHANNEL_RULE.allow, ...rest } = request.body
      const rule: ChannelRule = { ...DEFAULT_CHANNEL_RULE, ...rest, allow, namespace }
      assertSchema(deps.rooms.compiler, rule)
      const { authorise, joins, schema } = rule
      const details = { authorise, joins, allow: allow.join(' '), schema: schema !== null }
      const deed = { area: 'channels', action: 'rule-put', resource: `channel-rule:${namespace}`, details }
      const change = await deps.outbox.change(tenant, async (tx, tell) => {
        const made = await putChannelRule(tx, tenant, rule)
        if (made.outcome === 'full') throw full(made.what)
        tell(deps.trail.fact(principal, deed, request.id))
        return made
      })
      deps.rooms.book.forget(tenant)
      deps.events.changed('channel-rule.put', tenant, request.id)
      return reply.code(change.created ? 201 : 200).send(shown(change.rule))
    },
  )
  app.delete(
    '/channel-rules/:namespace',
    {
      schema: {
        summary: 'Take the rule of a namespace away',
        description: 'Its rooms behave as by default within ten seconds.',
        tags,
        params: ChannelRuleParams,
        response: answers({ 204: Type.Null() }),
      },
    },
    async (request, reply) => {
      const principal = principalOf(request)
      const { tenant } = principal
      const { namespace } = request.params
      const deed = { area: 'channels', action: 'rule-deleted', resource: `channel-rule:${namespace}` }
      await deps.outbox.change(tenant, async (tx, tell) => {
        if (!(await deleteChannelRule(tx, { tenant, namespace }))) throw notFound('channel rule')
        tell(deps.trail.fact(principal, deed, request.id))
      })
      deps.rooms.book.forget(tenant)
      deps.events.changed('channel-rule.deleted', tenant, request.id)
      return reply.code(204).send()
    },
  )
}

/** @throws HttpProblem 400 that names the place in the schema */
function assertSchema(compiler: RuleCompiler, rule: ChannelRule): void {
  try {
    compiler.compile(rule)
  } catch (error) {
    if (!(error instanceof RoomError)) throw error
    throw new HttpProblem(400, 'CHANNEL_SCHEMA_INVALID', error.message, { field: `/schema${error.path}` })
  }
}

function full(what: 'rules' | 'bytes'): HttpProblem {
  const most =
    what === 'rules'
      ? `A tenant has at most ${MAX_CHANNEL_RULES} channel rules.`
      : `The schemas of a tenant have at most ${MAX_CHANNEL_SCHEMA_BYTES} bytes together.`
  return new HttpProblem(409, 'CHANNEL_RULES_FULL', most)
}

function shown({ updatedAt, ...rule }: ChannelRuleRecord): Record<string, unknown> {
  return { ...rule, updatedAt: updatedAt.toISOString() }
}

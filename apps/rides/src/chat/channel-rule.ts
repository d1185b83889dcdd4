const text = (maxLength: number) => ({ type: 'string', maxLength })
/** By the type, so that what doesn't fit is told of the shape that was meant. */
const shape = (type: string, properties: Record<string, object>, optional: readonly string[] = []) => ({
  if: { properties: { type: { const: type } } },
  then: {
    properties: { type: true, ...properties },
    required: Object.keys(properties).filter((name) => !optional.includes(name)),
    additionalProperties: false,
  },
})
const number = { type: 'integer', minimum: 1 }
const nullable = { type: ['number', 'null'] }

/** Everything that is ever said in a ride's channels. */
const SAID = [
  shape('message', {
    id: text(36),
    number,
    from: text(128),
    clientId: text(64),
    text: text(2_000),
    at: text(32),
  }),
  shape('read', { by: text(128), upTo: text(36), number, at: text(32) }),
  shape(
    'location',
    {
      driver: text(128),
      lat: { type: 'number', minimum: -90, maximum: 90 },
      lon: { type: 'number', minimum: -180, maximum: 180 },
      heading: nullable,
      speed: nullable,
      at: text(32),
      jump: { type: 'boolean' },
    },
    ['jump'],
  ),
  shape('typing', { by: text(128) }),
]

/** The part of a channel's name before the first dash that is ours. */
export const NAMESPACE = 'ride'

/**
 * What Carillon is told of our channels: what may be said there, and whether we are asked who may enter. Without NATS
 * nobody could ask us; then tokens say it.
 */
export function rideChannels(answersOnNats: boolean) {
  return {
    authorise: answersOnNats,
    allow: ['presence', 'history'],
    joins: true,
    schema: {
      type: 'object',
      properties: { type: { enum: ['message', 'read', 'location', 'typing'] } },
      required: ['type'],
      allOf: SAID,
    },
  } as const
}

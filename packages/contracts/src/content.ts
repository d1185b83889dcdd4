import { type Static, Type } from 'typebox'
import { strict } from './shapes.js'

/** Stands in rendered texts where the link goes that ends the mails: only who sends the mail knows it. */
export const UNSUBSCRIBE_PLACE = 'https://unsubscribe.invalid/'

const liquid = (description: string) => Type.String({ maxLength: 20_000, description })
/** A mail made by a tool is long; an engine takes no more than this. */
const html = (description: string) => Type.String({ maxLength: 100_000, description })

const messages = Type.Optional(
  Type.Record(
    Type.String({ pattern: '^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$' }),
    Type.String({ maxLength: 4_000, description: 'ICU: {count, plural, one {# ride} other {# rides}}' }),
    { ...strict, maxProperties: 500, description: 'Messages for the filter t, by key.' },
  ),
)

/** Most buttons of a notification; what a platform has no room for is left out at its end. */
export const MAX_ACTIONS = 5

export const ActionSchema = Type.Object(
  {
    id: Type.String({
      pattern: '^[A-Za-z0-9_-]{1,64}$',
      description: 'What the app and the receipt are told when it is pressed.',
    }),
    title: liquid('Words on the button. One that renders to nothing leaves the button out.'),
    url: Type.Optional(
      liquid('Where it leads. Default: that of the same button in the texts fallen back to.'),
    ),
  },
  strict,
)

/** A key that every provider carries. */
const DATA_KEY_PATTERN = '^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$'

/** Texts of one locale. Liquid templates over `data`, `user`, `event`, `digest`. */
export const ContentSchema = Type.Object(
  {
    title: Type.Optional(liquid('Title; also the subject of a mail unless `subject` is given.')),
    subtitle: Type.Optional(liquid('Second line of a push on iPhones.')),
    body: Type.Optional(liquid('Plain text body.')),
    subject: Type.Optional(liquid('Subject of a mail.')),
    html: Type.Optional(html('HTML body of a mail.')),
    layout: Type.Optional(
      Type.String({
        pattern: '^[a-z0-9][a-z0-9-]{0,63}$',
        description: 'Layout that a mail is put into; without `html` its body is, as paragraphs.',
      }),
    ),
    url: Type.Optional(liquid('Where a click leads.')),
    imageUrl: Type.Optional(liquid('Picture shown with it.')),
    actions: Type.Optional(
      Type.Array(ActionSchema, {
        maxItems: MAX_ACTIONS,
        description: 'Buttons of a push; links of a mail without html.',
      }),
    ),
    data: Type.Optional(
      Type.Record(Type.String({ pattern: DATA_KEY_PATTERN }), Type.Unknown(), {
        ...strict,
        maxProperties: 50,
        description: 'Handed to the app, by key. Liquid in its texts; other JSON as it is.',
      }),
    ),
    replyTo: Type.Optional(liquid('Where answers to a mail go.')),
    messages,
  },
  strict,
)
export type Content = Static<typeof ContentSchema>

/** A named piece of text that others render: `{% render 'card', driver: data.driver %}`. */
export const PartialSchema = Type.Object(
  { text: liquid('Liquid over the arguments that it is given.'), messages },
  strict,
)
export type PartialDocument = Static<typeof PartialSchema>

/** An HTML document with `{{ content }}` where a mail goes. */
export const LayoutSchema = Type.Object({ html: html('HTML with {{ content }}.'), messages }, strict)
export type LayoutDocument = Static<typeof LayoutSchema>

/** What a template is: texts of a notification, a piece of text, or a frame of mails. */
export const TEMPLATE_KINDS = ['content', 'partial', 'layout'] as const
export type TemplateKind = (typeof TEMPLATE_KINDS)[number]

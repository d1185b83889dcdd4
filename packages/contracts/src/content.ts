import { type Static, Type } from 'typebox'

/** Stands in rendered texts where the link goes that ends the mails: only who sends the mail knows it. */
export const UNSUBSCRIBE_PLACE = 'https://unsubscribe.invalid/'

const strict = { additionalProperties: false } as const
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

/** Texts of one locale. Liquid templates over `data`, `user`, `event`, `digest`. */
export const ContentSchema = Type.Object(
  {
    title: Type.Optional(liquid('Title; also the subject of a mail unless `subject` is given.')),
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

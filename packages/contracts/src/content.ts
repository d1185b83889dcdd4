import { type Static, Type } from 'typebox'

const liquid = (description: string) => Type.String({ maxLength: 20_000, description })

/** Texts of one locale. Liquid templates over `data`, `user`, `event`. */
export const ContentSchema = Type.Object(
  {
    title: Type.Optional(liquid('Title; also the subject of a mail unless `subject` is given.')),
    body: Type.Optional(liquid('Plain text body.')),
    subject: Type.Optional(liquid('Subject of a mail.')),
    html: Type.Optional(liquid('HTML body of a mail.')),
    url: Type.Optional(liquid('Where a click leads.')),
    imageUrl: Type.Optional(liquid('Picture shown with it.')),
  },
  { additionalProperties: false },
)
export type Content = Static<typeof ContentSchema>

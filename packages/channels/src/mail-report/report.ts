/** What a mail is about, as it says itself. Anybody can write one: act only upon what `provenDelivery` makes of it. */
export interface ReportSubject {
  deliveryId?: string
  /** The mailbox, as the reporting server knows it; the delivery's own address is the one that was written to. */
  recipient?: string
  /** An address of ours, signed, among the places where this mail says it was sent to. */
  bounceAddress?: string
  /** From the headers of the returned mail. */
  receiptToken?: string
}

/**
 * Why a mail came back: no such mailbox; a full one; refused for its content, sender or size; a server that did not
 * take it in time, which says nothing about the mailbox.
 */
export type BounceCause = 'address' | 'mailbox-full' | 'rejected' | 'unavailable'

/**
 * What a mail to the bounce address tells. `status` is RFC 3463's (`5.1.1`), `diagnostic` the server's line, at most
 * 500 characters. `permanent`: this recipient will not get it by trying again; a report in which a forwarder reached
 * somebody is never permanent. `delivered` covers relayed and expanded, `auto-reply` holidays and other robots.
 */
export type MailReport =
  | ({
      kind: 'bounce'
      permanent: boolean
      cause: BounceCause
      status: string
      diagnostic: string
    } & ReportSubject)
  | ({ kind: 'delivered'; status: string; diagnostic: string } & ReportSubject)
  | ({ kind: 'delayed'; status: string; diagnostic: string } & ReportSubject)
  | ({ kind: 'complaint'; feedbackType: string } & ReportSubject)
  | { kind: 'auto-reply' }
  | { kind: 'other' }

/** The part of a bounce, a delay or a delivery that the report itself decides. */
export type Outcome =
  | {
      kind: 'bounce'
      permanent: boolean
      cause: BounceCause
      status: string
      diagnostic: string
      recipient?: string
    }
  | { kind: 'delivered' | 'delayed'; status: string; diagnostic: string; recipient?: string }

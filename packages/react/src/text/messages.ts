/** A text for each plural category that a language has; `{count}` stands for the number. */
export type PluralForms = Partial<Record<Intl.LDMLPluralRule, string>> & { other: string }

/** Every text that the components show or speak. `{…}` is replaced. */
export interface Messages {
  notifications: string
  /** Beside the bell and the title. */
  unreadCount: PluralForms
  unread: string

  filters: string
  filterAll: string
  filterUnread: string
  filterSnoozed: string
  filterArchived: string

  readAll: string
  markRead: string
  markUnread: string
  archive: string
  unarchive: string
  snooze: string
  snoozeHour: string
  snoozeTomorrow: string
  snoozeWeek: string
  unsnooze: string
  remove: string
  undo: string
  /** `{time}` */
  snoozedUntil: string

  loading: string
  loadMore: string
  loadingMore: string
  emptyAll: string
  emptyAllHint: string
  emptyUnread: string
  emptySnoozed: string
  emptyArchived: string
  failed: string
  retry: string
  connecting: string
  offline: string
  signedOut: string

  /** Names of the keys. */
  shortcuts: string

  /** Spoken, and shown where something can be undone. */
  didRead: string
  didUnread: string
  didArchive: string
  didUnarchive: string
  /** `{time}` */
  didSnooze: string
  didUnsnooze: string
  didRemove: string
  didReadAll: string
  didUndo: string
  didFail: string
  /** `{title}` */
  arrivedOne: string
  arrivedMany: PluralForms

  toasts: string
  dismiss: string
}

/** What the page asks of the server that it came from: `GET session?as=<user>`, by whom it is shown. */
export interface DemoSession {
  /** For Carillon's edge, which is this origin. */
  token: string
  user: string
  /** Who may be signed in here, and their names. */
  people: Readonly<Record<string, string>>
}

/** Rooms of the page; the token has to allow subscribe, publish, presence and history in them. */
export const LOUNGE = 'room:demo-lounge'
export const MAP = 'latest:demo-map'

import type { Hello, HostEvent, HostPort } from '../host/messages.js'

/** A tab, as the place of its host sees it. */
export interface Guest {
  readonly id: string
  /** All that it wants: each has to be sent, for only what is wished after it is told to the host that answers. */
  hello(): Hello
  hear(event: HostEvent): void
  /** Everything that the host tells comes after this. Called again for each new host. */
  found(port: HostPort): void
  /** The host is gone; another one will be found. */
  lost(): void
}

/** Where the host of a tab is: in the tab itself, in another one, or in a worker. */
export interface Place {
  /** Leaves; a host that is here ends its connection. */
  close(): void
}

import type { WriteReply } from './presence-scripts.js'

/** Somebody in a room, as others see them. */
export interface PresenceMember {
  /** The user as the outside calls them. */
  user: string
  /** The connection with which they came; no line breaks. */
  client: string
  /** Shown beside; JSON. */
  info?: unknown
}

/** Who came and who left; what left is to be taken away before what came is added. */
export interface PlaceChanges {
  joined: PresenceMember[]
  left: PresenceMember[]
}

interface Place {
  member: PresenceMember
  /** `user` and `info` as they are stored. */
  row: string
  /** The client that others know it as; undefined until it is written. */
  shown: string | undefined
  lost: boolean
  /** Redis may know that it is lost: the same person may have taken it again. */
  offered: boolean
}

interface Leave {
  client: string
  place: Place
}

/** What one script call writes. */
export interface PlacesWrite {
  leaves: Leave[]
  losses: Place[]
  /** Left before they were written. */
  goodbyes: Place[]
  joins: Place[]
  /** Written already; whether others are told again. */
  rewrites: boolean
}

/** Places of one node in one room, and what of them Redis doesn't know yet. Does no I/O. */
export class Places {
  readonly name: string
  readonly #node: string
  readonly #places = new Map<string, Place>()
  readonly #people = new Map<string, number>()
  #leaves: Leave[] = []
  #losses = new Set<Place>()
  #goodbyes: Place[] = []
  #joins = new Set<Place>()
  #rewrites = new Set<Place>()
  #tellRewrites = false
  #lost = 0

  constructor(name: string, node: string) {
    this.name = name
    this.#node = node
  }

  get size(): number {
    return this.#places.size
  }

  /** Nothing is held here and nothing is left to write. */
  get done(): boolean {
    return this.#places.size === 0 && !this.pending
  }

  get pending(): boolean {
    const { size } = this.#losses
    return this.#leaves.length + this.#goodbyes.length + size + this.#joins.size + this.#rewrites.size > 0
  }

  join(member: PresenceMember): void {
    if (this.#places.has(member.client)) return
    const { user, info } = member
    const row = JSON.stringify(info === undefined ? { user } : { user, info })
    const place: Place = { member, row, shown: undefined, lost: false, offered: false }
    this.#add(place)
    this.#joins.add(place)
  }

  leave(client: string): void {
    const place = this.#places.get(client)
    if (place === undefined) return
    this.#remove(place)
    // what was never written is known to nobody, but may have come back to a place that is
    if (this.#joins.delete(place)) this.#goodbyes.push(place)
    else this.#leaves.push({ client, place })
  }

  /** True when the place stays for a while: `expire` ends it. */
  lose(client: string): boolean {
    const place = this.#places.get(client)
    if (place === undefined || place.lost) return false
    if (this.#joins.delete(place)) {
      this.#remove(place)
      return false
    }
    place.lost = true
    this.#lost++
    this.#losses.add(place)
    return true
  }

  /** The time to come back is over. */
  expire(client: string): void {
    if (this.#places.get(client)?.lost === true) this.leave(client)
  }

  /** Redis has lost it, or others took this node for dead and have told (`tell`) that everybody left. */
  rewrite(tell: boolean): void {
    for (const place of this.#places.values()) {
      // what is on its way may have been lost too; what isn't needs nothing else
      if (this.#joins.has(place)) continue
      this.#rewrites.add(place)
      if (place.lost) this.#losses.add(place)
    }
    this.#tellRewrites ||= tell && this.#rewrites.size > 0
  }

  /** What is to be written next, at most `most` of each kind; what is lost is written before. */
  take(most: number): PlacesWrite {
    if (this.#rewrites.size > 0) {
      const joins = takeFrom(this.#rewrites, most)
      return { leaves: [], losses: [], goodbyes: [], joins, rewrites: true }
    }
    const leaves = this.#leaves.splice(0, most)
    const losses = takeFrom(this.#losses, most)
    for (const place of losses) place.offered = true
    return {
      leaves,
      losses,
      goodbyes: this.#goodbyes.splice(0, most),
      joins: takeFrom(this.#joins, most),
      rewrites: false,
    }
  }

  /** Arguments of the script, after the node and how long keys are kept. */
  argumentsOf({ leaves, losses, goodbyes, joins }: PlacesWrite): (string | number)[] {
    const args: (string | number)[] = [leaves.length, losses.length, goodbyes.length, joins.length]
    for (const { client, place } of leaves) {
      const { user } = place.member
      args.push(client, user, place.offered ? 1 : 0, this.#people.has(user) ? 0 : 1)
    }
    for (const { member } of losses) args.push(member.client, member.user)
    for (const { member } of goodbyes) args.push(member.user)
    for (const { member, row, shown } of joins) args.push(member.client, member.user, row, shown ?? '')
    return args
  }

  /** Takes in what was written; gives what others are to be told. */
  settle(write: PlacesWrite, [, own, gone, takeovers, ended]: WriteReply): PlaceChanges {
    const changes: PlaceChanges = { joined: [], left: [] }
    write.leaves.forEach(({ place }, index) => {
      // one that was offered and isn't there was taken again by the same person
      if (gone[index] === '1' || !place.offered) changes.left.push(shownAs(place))
    })
    for (const [index, line, shown] of ended) {
      const { member } = write.goodbyes[index] as Place
      changes.left.push({ ...member, client: shown })
      this.#forgetTaken(line)
    }
    const taken = new Map(takeovers.map(([index, line, shown]) => [index, { line, shown }]))
    write.joins.forEach((place, index) => {
      const before = taken.get(index)
      const tell = write.rewrites ? this.#tellRewrites : before === undefined
      place.shown ??= before?.shown ?? place.member.client
      if (before !== undefined) this.#forgetTaken(before.line)
      if (tell) changes.joined.push(shownAs(place))
    })
    if (write.rewrites && this.#rewrites.size === 0) this.#tellRewrites = false
    // lost ones may have been taken again elsewhere; that others are missing is the doing of Redis
    if (!this.pending && own < this.#places.size - this.#lost) this.rewrite(false)
    return changes
  }

  /** It could not be written, or nobody knows whether it was: it is written again. */
  restore({ leaves, losses, goodbyes, joins, rewrites }: PlacesWrite): void {
    this.#leaves.unshift(...leaves)
    this.#goodbyes.unshift(...goodbyes)
    const still = (place: Place): boolean => this.#places.get(place.member.client) === place
    for (const place of losses) if (still(place)) this.#losses.add(place)
    for (const place of joins) if (still(place)) (rewrites ? this.#rewrites : this.#joins).add(place)
  }

  #forgetTaken(line: string): void {
    const [node, client = ''] = line.split('\t')
    const place = node === this.#node ? this.#places.get(client) : undefined
    if (place === undefined) return
    this.#remove(place)
    // nobody is told of it again, but the set of people may have to know
    if (!this.#people.has(place.member.user)) this.#leaves.push({ client, place })
  }

  #add(place: Place): void {
    const { client, user } = place.member
    this.#places.set(client, place)
    this.#people.set(user, (this.#people.get(user) ?? 0) + 1)
  }

  #remove(place: Place): void {
    const { client, user } = place.member
    this.#places.delete(client)
    if (place.lost) this.#lost--
    this.#losses.delete(place)
    this.#rewrites.delete(place)
    const others = (this.#people.get(user) ?? 1) - 1
    if (others === 0) this.#people.delete(user)
    else this.#people.set(user, others)
  }
}

function shownAs({ member, shown }: Place): PresenceMember {
  return shown === undefined || shown === member.client ? member : { ...member, client: shown }
}

function takeFrom<T>(set: Set<T>, most: number): T[] {
  const taken: T[] = []
  for (const one of set) {
    if (taken.length === most) break
    taken.push(one)
    set.delete(one)
  }
  return taken
}

import type { Redis, Result } from 'ioredis'

/*
 * A room is `<room>:n`, the nodes that have places in it; `<room>:m:<node>`, a hash of client → `shown client \n JSON`;
 * `<room>:u:<node>`, the different people among them; `<room>:g`, a hash of user → lines of `node \t client`: places
 * whose connection was lost and which the same person may take again.
 */

/**
 * Writes what happened to the places of one node in a room: leaves, losses, goodbyes of those who came back for less
 * than a tick, joins. A join takes over a place that the same person has lost, whichever node has it; a goodbye ends it.
 *
 * Returns the places in the room, those of this node, a digit per leave (1: it was there), and for each place taken
 * over, then for each ended by a goodbye: the index, the line of the place and the client it is shown as.
 */
const WRITE_LUA = `
local room, self, keep = KEYS[1], ARGV[1], ARGV[2]
local leaves, losses, goodbyes, joins = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local mine, people, nodes, lost = room .. ':m:' .. self, room .. ':u:' .. self, room .. ':n', room .. ':g'
local at = 6
local function take()
  at = at + 1
  return ARGV[at]
end
local function keepLost(user, lines)
  if #lines == 0 then redis.call('HDEL', lost, user)
  else redis.call('HSET', lost, user, table.concat(lines, '\\n')) end
end
local function findAgain(user, line)
  local held, others = redis.call('HGET', lost, user), {}
  if not held then return end
  for one in string.gmatch(held, '[^\\n]+') do
    if one ~= line then others[#others + 1] = one end
  end
  keepLost(user, others)
end
local function takeOver(user)
  local held, others, taken, shown = redis.call('HGET', lost, user), {}, nil, nil
  if not held then return end
  for node, client in string.gmatch(held, '([^\\t\\n]+)\\t([^\\n]+)') do
    local theirs = room .. ':m:' .. node
    local row = taken == nil and redis.call('HGET', theirs, client)
    if taken ~= nil then
      others[#others + 1] = node .. '\\t' .. client
    elseif row then
      taken, shown = node .. '\\t' .. client, string.match(row, '^[^\\n]*')
      redis.call('HDEL', theirs, client)
      if redis.call('EXISTS', theirs) == 0 then redis.call('SREM', nodes, node) end
    end
  end
  keepLost(user, others)
  return taken, shown
end
local gone = {}
for index = 1, leaves do
  local client, user, wasLost, last = take(), take(), take(), take()
  gone[index] = redis.call('HDEL', mine, client)
  if wasLost == '1' then findAgain(user, self .. '\\t' .. client) end
  if last == '1' then redis.call('SREM', people, user) end
end
for _ = 1, losses do
  local client, user = take(), take()
  local held = redis.call('HGET', lost, user)
  local line = self .. '\\t' .. client
  redis.call('HSET', lost, user, held and (held .. '\\n' .. line) or line)
end
local ended = {}
for index = 1, goodbyes do
  local line, before = takeOver(take())
  if line then ended[#ended + 1] = {index - 1, line, before} end
end
local taken = {}
if joins > 0 then
  local somebodyLost, rows, users = redis.call('EXISTS', lost) == 1, {}, {}
  for index = 1, joins do
    local client, user, row, shown = take(), take(), take(), take()
    if shown == '' then
      local line, before
      if somebodyLost then line, before = takeOver(user) end
      if line then taken[#taken + 1] = {index - 1, line, before} end
      shown = before or client
    end
    rows[index * 2 - 1], rows[index * 2], users[index] = client, shown .. '\\n' .. row, user
  end
  redis.call('HSET', mine, unpack(rows))
  redis.call('SADD', people, unpack(users))
end
local own = redis.call('HLEN', mine)
if own == 0 then redis.call('SREM', nodes, self)
else
  redis.call('SADD', nodes, self)
  redis.call('PEXPIRE', mine, keep)
  redis.call('PEXPIRE', people, keep)
end
redis.call('PEXPIRE', nodes, keep)
redis.call('PEXPIRE', lost, keep)
local total = 0
for _, node in ipairs(redis.call('SMEMBERS', nodes)) do
  total = total + redis.call('HLEN', room .. ':m:' .. node)
end
return {total, own, table.concat(gone), taken, ended}
`

/** Takes the places of a dead node out of a room. Returns how many it had, how many are left, and its rows if few. */
const SWEEP_LUA = `
local room, dead, most = KEYS[1], ARGV[1], tonumber(ARGV[2])
local theirs, nodes, lost = room .. ':m:' .. dead, room .. ':n', room .. ':g'
local count = redis.call('HLEN', theirs)
local rows = {}
if count > 0 and count <= most then rows = redis.call('HVALS', theirs) end
redis.call('DEL', theirs, room .. ':u:' .. dead)
redis.call('SREM', nodes, dead)
local held = redis.call('HGETALL', lost)
for index = 1, #held, 2 do
  local others = {}
  for line in string.gmatch(held[index + 1], '[^\\n]+') do
    if string.sub(line, 1, #dead + 1) ~= dead .. '\\t' then others[#others + 1] = line end
  end
  if #others == 0 then redis.call('HDEL', lost, held[index])
  else redis.call('HSET', lost, held[index], table.concat(others, '\\n')) end
end
local rest = 0
for _, node in ipairs(redis.call('SMEMBERS', nodes)) do
  rest = rest + redis.call('HLEN', room .. ':m:' .. node)
end
return {count, rest, rows}
`

/**
 * Nodes that have places in a room, each followed by how many and, when the room has at most so many, by its rows: of
 * one moment, since a place that is taken again moves from one node to another.
 */
const COUNT_LUA = `
local room, most, counts, total = KEYS[1], tonumber(ARGV[1]), {}, 0
local nodes = redis.call('SMEMBERS', room .. ':n')
for index, node in ipairs(nodes) do
  counts[index] = redis.call('HLEN', room .. ':m:' .. node)
  total = total + counts[index]
end
local found = {}
for index, node in ipairs(nodes) do
  found[index] = {node, counts[index], total <= most and redis.call('HVALS', room .. ':m:' .. node) or {}}
end
return found
`

/** Different people of a room on the given nodes. */
const PEOPLE_LUA = `
local keys = {}
for index, node in ipairs(ARGV) do keys[index] = KEYS[1] .. ':u:' .. node end
if #keys == 1 then return redis.call('SCARD', keys[1]) end
return #redis.call('SUNION', unpack(keys))
`

/** Nodes whose lease holds. */
const ALIVE_LUA = `
local alive = {}
for _, node in ipairs(redis.call('SMEMBERS', KEYS[1] .. ':all')) do
  if redis.call('EXISTS', KEYS[1] .. ':lease:' .. node) == 1 then alive[#alive + 1] = node end
end
return alive
`

/** A digit for each name: 1 when a node whose lease holds has it among those online. */
const ONLINE_LUA = `
local online = {}
for index = 1, #ARGV do online[index] = 0 end
for _, node in ipairs(redis.call('SMEMBERS', KEYS[1] .. ':all')) do
  if redis.call('EXISTS', KEYS[1] .. ':lease:' .. node) == 1 then
    for index, has in ipairs(redis.call('SMISMEMBER', KEYS[1] .. ':online:' .. node, unpack(ARGV))) do
      if has == 1 then online[index] = 1 end
    end
  end
end
return table.concat(online)
`

/**
 * Takes or renews a lease and keeps what the node has. Returns whether the lease had still held, whether others have
 * swept the node meanwhile, and the nodes whose lease has ended.
 */
const RENEW_LUA = `
local nodes, self, lease, keep = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
local held = redis.call('EXISTS', nodes .. ':lease:' .. self)
local swept = redis.call('DEL', nodes .. ':swept:' .. self)
redis.call('SET', nodes .. ':lease:' .. self, '1', 'PX', lease)
redis.call('SADD', nodes .. ':all', self)
redis.call('PEXPIRE', nodes .. ':all', keep)
redis.call('PEXPIRE', nodes .. ':rooms:' .. self, keep)
redis.call('PEXPIRE', nodes .. ':online:' .. self, keep)
local dead = {}
for _, node in ipairs(redis.call('SMEMBERS', nodes .. ':all')) do
  if redis.call('EXISTS', nodes .. ':lease:' .. node) == 0 then dead[#dead + 1] = node end
end
return {held, swept, dead}
`

/** Says that a dead node is being swept. Returns the rooms in which it has places; none when it has come back. */
const BURY_LUA = `
local nodes, dead, keep = KEYS[1], ARGV[1], ARGV[2]
if redis.call('EXISTS', nodes .. ':lease:' .. dead) == 1 then return {} end
redis.call('SET', nodes .. ':swept:' .. dead, '1', 'PX', keep)
return redis.call('SMEMBERS', nodes .. ':rooms:' .. dead)
`

/** Forgets a node whose rooms are swept, unless it has come back. */
const FORGET_LUA = `
local nodes, dead = KEYS[1], ARGV[1]
if redis.call('EXISTS', nodes .. ':lease:' .. dead) == 1 then return 0 end
redis.call('SREM', nodes .. ':all', dead)
redis.call('DEL', nodes .. ':rooms:' .. dead, nodes .. ':online:' .. dead)
return 1
`

declare module 'ioredis' {
  interface RedisCommander<Context> {
    presWrite(room: string, ...args: (string | number)[]): Result<WriteReply, Context>
    presSweep(room: string, dead: string, most: number): Result<[number, number, string[]], Context>
    presCount(room: string, most: number): Result<[node: string, count: number, rows: string[]][], Context>
    presPeople(room: string, ...nodes: string[]): Result<number, Context>
    presAlive(nodes: string): Result<string[], Context>
    presOnline(nodes: string, ...names: string[]): Result<string, Context>
    presRenew(
      nodes: string,
      self: string,
      leaseMs: number,
      keepMs: number,
    ): Result<[number, number, string[]], Context>
    presBury(nodes: string, dead: string, keepMs: number): Result<string[], Context>
    presForget(nodes: string, dead: string): Result<number, Context>
  }
}

/** Index of a join or goodbye, line of the place that it met, client that this is shown as. */
type Met = [number, string, string]

/** Places in the room, own ones, a digit per leave, places taken over, places ended by a goodbye. */
export type WriteReply = [number, number, string, Met[], Met[]]

const SCRIPTS = {
  presWrite: WRITE_LUA,
  presSweep: SWEEP_LUA,
  presCount: COUNT_LUA,
  presPeople: PEOPLE_LUA,
  presAlive: ALIVE_LUA,
  presOnline: ONLINE_LUA,
  presRenew: RENEW_LUA,
  presBury: BURY_LUA,
  presForget: FORGET_LUA,
}

/** Makes the scripts commands of a client. Again is harmless. */
export function definePresence(client: Redis): void {
  for (const [name, lua] of Object.entries(SCRIPTS)) client.defineCommand(name, { numberOfKeys: 1, lua })
}

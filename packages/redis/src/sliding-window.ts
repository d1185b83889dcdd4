/**
 * Counts over a window that slides: the count of the present fixed window, plus that of the one before weighted by how
 * much of it the sliding window still covers. Both live in one hash, so that a cluster keeps them together. What is
 * refused does not count: who hammers gets through as soon as there is room. Time is Redis' own, one for all nodes.
 *
 * Returns the estimated use (over the limit means refused) and the milliseconds until there is room again, or until
 * the fixed window ends when there is. Arguments as the limiter library gives them: points, seconds, limit.
 */
export const SLIDING_WINDOW_LUA = `
local points = tonumber(ARGV[1])
local window = tonumber(ARGV[2]) * 1000
local limit = tonumber(ARGV[3])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local start = now - now % window
local elapsed = now - start
local saved = redis.call('HMGET', KEYS[1], 's', 'c', 'p')
local savedStart = tonumber(saved[1]) or 0
local current = 0
local previous = 0
if savedStart == start then
  current = tonumber(saved[2]) or 0
  previous = tonumber(saved[3]) or 0
elseif savedStart == start - window then
  previous = tonumber(saved[2]) or 0
end
local used = math.ceil(previous * (1 - elapsed / window)) + current
if used + points > limit then
  local wait
  local room = limit - current - points
  if room >= 0 and previous > 0 then
    wait = window * (1 - room / previous) - elapsed
  elseif current > 0 then
    wait = window - elapsed + window * math.max(0, 1 - (limit - points) / current)
  else
    wait = window
  end
  return {limit + points, math.max(1, math.ceil(wait))}
end
redis.call('HSET', KEYS[1], 's', start, 'c', current + points, 'p', previous)
redis.call('PEXPIRE', KEYS[1], window * 2)
return {used + points, window - elapsed}
`

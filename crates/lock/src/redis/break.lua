#!lua flags=allow-oom
-- Ends holds of others, tells them, and takes a fence for nobody.
-- KEYS: fence counter of the shard, and the lock. ARGV: beginning of all names, time to claim (microseconds), and
--   the owners.
-- Answers: 1, now, the fence, and what was ended: owner, fence, and so on.
local base = ARGV[1]
--COMMON
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local lock = read(now, KEYS[2], redis.call('GET', KEYS[2]))
local fence = math.max(now, (redis.call('GET', KEYS[1]) or 0) + 1)
local ended = {}
for at = 3, #ARGV do
  local i = holds(lock, ARGV[at])
  if i then
    ended[#ended + 1], ended[#ended + 2] = ARGV[at], lock.fences[i]
    remove(lock, i)
    redis.call('PUBLISH', base .. 'freed', '!' .. ARGV[at] .. '\n\n\n\n' .. lock.name)
  end
end
if #ended > 0 then
  -- Whoever joins those that are left comes after those that are not.
  lock.turn = fence
  freed(now, lock, ARGV[2], true)
  write(lock)
end
redis.call('SET', KEYS[1], text(fence))
return { 1, now, fence, ended }

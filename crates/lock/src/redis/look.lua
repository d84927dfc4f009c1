-- Tells who holds a lock and who waits for it.
-- KEYS: the lock. ARGV: beginning of all names, waiters at the most.
-- Answers: 1, now, mode, wanted, how many are queued, holders (owner, end, fence, and so on), waiters (owner,
--   place, end of life, wish, and so on). Times in microseconds.
local base = ARGV[1]
--COMMON
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local lock = read(now, KEYS[1], redis.call('GET', KEYS[1]))
local holders, waiters, queued = {}, {}, 0
for i = 1, lock.count do
  holders[#holders + 1] = lock.owners[i]
  holders[#holders + 1] = lock.ends[i]
  holders[#holders + 1] = lock.fences[i]
end
if lock.queued == 1 then
  queued = redis.call('ZCARD', lock.places)
  local places = redis.call('ZRANGE', lock.places, 0, ARGV[2] - 1, 'WITHSCORES')
  for i = 1, #places, 2 do
    waiters[#waiters + 1] = places[i]
    waiters[#waiters + 1] = tonumber(places[i + 1])
    waiters[#waiters + 1] = tonumber(redis.call('ZSCORE', lock.lives, places[i]))
    waiters[#waiters + 1] = redis.call('HGET', lock.wishes, places[i])
  end
end
return { 1, now, lock.mode, lock.wanted, queued, holders, waiters }

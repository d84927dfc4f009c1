#!lua flags=allow-oom
-- Makes a hold last longer, and perhaps gives it another mode.
-- KEYS: the locks. ARGV: owner, lease, new mode or nothing, time to claim, beginning of all names, limit of
--   the new mode or nothing. Times in microseconds.
-- Answers: 1 held, now; 0 not held, now, fence of another holder or 0.
local base = ARGV[5]
--COMMON
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local owner, ending, mode = ARGV[1], now + ARGV[2], ARGV[3]
local locks, all = {}, true
for _, key in ipairs(KEYS) do
  local lock = read(now, key, redis.call('GET', key))
  locks[#locks + 1] = lock
  all = all and holds(lock, owner)
end
if not all then
  return { 0, now, rival(locks, owner) }
end
for _, lock in ipairs(locks) do
  local i = holds(lock, owner)
  lock.ends[i] = math.max(lock.ends[i], ending)
  if mode ~= '' and lock.count == 1 and lock.mode ~= mode then
    lock.mode, lock.limits[i] = mode, tonumber(ARGV[6]) or math.huge
    freed(now, lock, ARGV[4], true)
  end
  write(lock)
end
return { 1, now }

-- Ends a hold, gives up a place, and remembers the owner.
-- KEYS: tombstone of the owner, and the locks.
-- ARGV: owner, how long to remember it (ms), time to claim (microseconds), wanted, beginning of all names.
-- Answers: 1 released, now; 0 did not hold, now, fence of another holder or 0.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local found = redis.call('MGET', KEYS[1], KEYS[2])
local owner = ARGV[1]

if #KEYS == 2 and found[2] and not found[1] and ARGV[4] == '0' then
  local list = cmsgpack.unpack(found[2])
  if #list == 6 and list[2] == 0 and list[3] == 0 and list[4] == owner and list[5] > now then
    -- Nobody else holds it and nobody waits.
    redis.call('DEL', KEYS[2])
    redis.call('SET', KEYS[1], '1', 'PX', ARGV[2])
    return { 1, now }
  end
end

local base = ARGV[5]
--COMMON
local locks = {}
for at = 2, #KEYS do
  local packed = found[2]
  if at > 2 then
    packed = redis.call('GET', KEYS[at])
  end
  locks[#locks + 1] = read(now, KEYS[at], packed)
end
if found[1] == '1' then
  return { 1, now }
elseif found[1] then
  return { 0, now, rival(locks, owner) }
end
local released = 0
for _, lock in ipairs(locks) do
  local left, i = leave(lock, owner), holds(lock, owner)
  if i then
    table.remove(lock.owners, i)
    table.remove(lock.ends, i)
    table.remove(lock.fences, i)
    lock.count = lock.count - 1
    released = 1
  end
  if i or left then
    freed(now, lock, ARGV[3], ARGV[4] == '1')
  end
  write(lock)
end
redis.call('SET', KEYS[1], tostring(released), 'PX', ARGV[2])
if released == 1 then
  return { 1, now }
end
return { 0, now, rival(locks, owner) }

#!lua flags=allow-oom
-- Ends a hold, gives up a place, and remembers the owner.
-- KEYS: tombstones of the owner's time, and the locks.
-- ARGV: owner, how long to remember it (ms), time to claim (microseconds), wanted, beginning of all names.
-- Answers: 1 released, now; 0 did not hold all of them, now, fence of another holder or 0.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local owner, held = ARGV[1], redis.call('GET', KEYS[2])
local ended = redis.call('HGET', KEYS[1], string.sub(owner, 21))

-- One key for all that were acquired in the same few seconds: the server would spend more on the ends of a key for each
-- than on the locks.
local function remember(released)
  redis.call('HSET', KEYS[1], string.sub(owner, 21), released)
  redis.call('PEXPIREAT', KEYS[1], string.format('%.0f', math.ceil(now / 1000) + ARGV[2]))
end

if #KEYS == 2 and held and not ended and ARGV[4] == '0' then
  local list = cmsgpack.unpack(held)
  if #list == 6 and list[2] == 0 and list[3] == 0 and list[4] == owner and list[5] > now then
    -- Nobody else holds it and nobody waits.
    redis.call('DEL', KEYS[2])
    remember('1')
    return { 1, now }
  end
end

local base = ARGV[5]
--COMMON
local locks = {}
for at = 2, #KEYS do
  local packed = held
  if at > 2 then
    packed = redis.call('GET', KEYS[at])
  end
  locks[#locks + 1] = read(now, KEYS[at], packed)
end
if ended == '1' then
  return { 1, now }
elseif ended then
  return { 0, now, rival(locks, owner) }
end
local count = 0
for _, lock in ipairs(locks) do
  local left, i = leave(lock, owner), holds(lock, owner)
  if i then
    remove(lock, i)
    count = count + 1
  end
  if i or left then
    freed(now, lock, ARGV[3], ARGV[4] == '1')
  end
  write(lock)
end
local released = count == #locks
remember(released and '1' or '0')
if released then
  return { 1, now }
end
return { 0, now, rival(locks, owner) }

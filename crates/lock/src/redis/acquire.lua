-- Takes locks, all or none, or a place in a queue.
-- KEYS: record of the shard, tombstone of the owner; and for each lock: lock, places, lives, wishes.
-- ARGV: owner, lease, mode, holders at most, fence at least, fair, time to live of a waiter (0: does not
--   wait), may queue, place, not after, run id, quarantine. Times in microseconds.
-- Answers: 1 granted, now, fence; 2 conflict, now, index, holder's rest, retry after, place, head;
--   3 quarantined, now, rest; 4 released before, now; 5 too late, now.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local not_after = tonumber(ARGV[10])
if not_after > 0 and now > not_after then
  return { 5, now }
end
local owner, ending = ARGV[1], now + ARGV[2]
local found = redis.call('MGET', KEYS[1], KEYS[2], KEYS[3])
if found[2] then
  return { 4, now }
end
local shard = found[1] and cmsgpack.unpack(found[1])
local rest = 0
if not shard or shard[1] ~= ARGV[11] then
  -- Another server than the one that granted the locks which we know of, and perhaps others.
  shard = { ARGV[11], now, shard and shard[3] or 0 }
  redis.call('SET', KEYS[1], cmsgpack.pack(shard))
end
if now < shard[2] + ARGV[12] then
  rest = shard[2] + ARGV[12] - now
end

local function number(least)
  shard[3] = math.max(now, shard[3] + 1, least + 1)
  redis.call('SET', KEYS[1], cmsgpack.pack(shard))
  return shard[3]
end

if #KEYS == 6 and not found[3] then
  if rest > 0 then
    return { 3, now, rest }
  end
  -- Nobody holds it and nobody waits.
  local fence = number(tonumber(ARGV[5]))
  local packed = cmsgpack.pack({ ARGV[3], 0, 0, owner, ending, fence })
  redis.call('SET', KEYS[3], packed, 'PXAT', string.format('%.0f', math.ceil(ending / 1000) + 1000))
  return { 1, now, fence }
end

--COMMON

local mode, max, fair = ARGV[3], tonumber(ARGV[4]), ARGV[6] == '1'
local locks, held = {}, 0
for at = 3, #KEYS, 4 do
  local packed = found[3]
  if at > 3 then
    packed = redis.call('GET', KEYS[at])
  end
  local lock = read(now, at, packed)
  locks[#locks + 1] = lock
  if holds(lock, owner) then
    held = held + 1
  end
end

if held == #locks then
  -- The answer was lost. The same again.
  for _, lock in ipairs(locks) do
    local i = holds(lock, owner)
    lock.ends[i] = math.max(lock.ends[i], ending)
    write(lock)
  end
  return { 1, now, locks[1].fences[holds(locks[1], owner)] }
end
if rest > 0 then
  return { 3, now, rest }
end

-- Returns what is left of the holders, when to come again, and whether there only is no room.
local function obstacle(lock)
  local last, first = now, math.huge
  for i = 1, lock.count do
    last = math.max(last, lock.ends[i])
    first = math.min(first, lock.ends[i])
  end
  if lock.count > 0 and lock.mode ~= mode then
    return last - now, last - now, false
  end
  if lock.count >= max then
    return last - now, first - now, true
  end
  if lock.queued == 0 then
    return
  end
  local from = 0
  while true do
    local before = redis.call('ZRANGE', KEYS[lock.at + 1], from, from + 15)
    for _, other in ipairs(before) do
      if other == owner then
        return
      end
      local is_fair, _, wanted_mode = wish(lock, other)
      if fair or is_fair == '1' or wanted_mode ~= mode then
        local life = tonumber(redis.call('ZSCORE', KEYS[lock.at + 2], other))
        return last - now, life - now, false
      end
    end
    if #before < 16 then
      return
    end
    from = from + 16
  end
end

-- Notes that we wait, and returns our place.
local function wait(lock, full)
  local ttl, place = tonumber(ARGV[7]), tonumber(ARGV[9])
  if ttl == 0 then
    return 0
  end
  local old = lock.queued == 1 and redis.call('ZSCORE', KEYS[lock.at + 1], owner)
  if ARGV[8] ~= '1' or not (old or place > 0 or fair or not full) then
    if lock.wanted == 0 then
      lock.wanted = 1
      write(lock)
    end
    return 0
  end
  if old then
    place = tonumber(old)
  elseif place == 0 then
    place = number(0)
  end
  redis.call('ZADD', KEYS[lock.at + 1], text(place), owner)
  redis.call('ZADD', KEYS[lock.at + 2], text(now + ttl), owner)
  redis.call('HSET', KEYS[lock.at + 3], owner, ARGV[6] .. ':' .. ARGV[4] .. ':' .. mode)
  lock.queued = 1
  write(lock)
  return place
end

for index, lock in ipairs(locks) do
  local remaining, retry, full = obstacle(lock)
  if remaining then
    local place = wait(lock, full)
    local head = lock.queued == 1 and redis.call('ZRANGE', KEYS[lock.at + 1], 0, 0)[1]
    return { 2, now, index - 1, remaining, retry, place, head or '' }
  end
end

local fence = number(tonumber(ARGV[5]))
for _, lock in ipairs(locks) do
  lock.mode = lock.count > 0 and lock.mode or mode
  lock.count = lock.count + 1
  lock.owners[lock.count], lock.ends[lock.count], lock.fences[lock.count] = owner, ending, fence
  if lock.queued == 1 and redis.call('ZREM', KEYS[lock.at + 1], owner) == 1 then
    redis.call('ZREM', KEYS[lock.at + 2], owner)
    redis.call('HDEL', KEYS[lock.at + 3], owner)
    lock.queued = redis.call('EXISTS', KEYS[lock.at + 1])
  end
  write(lock)
end
return { 1, now, fence }

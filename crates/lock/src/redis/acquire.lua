-- Takes locks, all or none, or a place in a queue.
-- KEYS: boot record and fence counter of the shard, tombstones of the owner's time, and the locks.
-- ARGV: owner, lease, the lease with time to sweep up (ms), mode, fence at least, not after, beginning of a
--   boot record that tells of no quarantine, quarantine, beginning of all names, and the rest in one: fair, holders at most, time to live of a waiter
--   (0: does not wait), may queue, place, time to claim, length of a queue at the most; and how many it lets hold the lock, or nothing. Times in microseconds.
-- Answers: 1 granted, now, fence, turn; 2 conflict, now, index, holder's rest, retry after, place, head;
--   3 quarantined, now, rest; 4 released before, now; 5 too late, now; 6 the queue is full, now.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local found = redis.call('MGET', KEYS[1], KEYS[2], KEYS[4])
local owner, ending, in_time = ARGV[1], now + ARGV[2], now <= ARGV[6] + 0
local ended = redis.call('HGET', KEYS[3], string.sub(owner, 21))

local calm = string.sub(found[1] or '', 1, #ARGV[7]) == ARGV[7]

if calm and in_time and not ended and not found[3] and #KEYS == 4 then
  -- A calm server, and nobody holds the lock and nobody waits.
  local fence = math.max(now, (found[2] or 0) + 1, ARGV[5] + 1)
  -- The server writes a number as it is, up to 10^17.
  redis.call('SET', KEYS[2], fence)
  local lock = { ARGV[4], 0, 0, owner, ending, fence }
  if ARGV[11] ~= '' then
    table.insert(lock, 4, ARGV[11] + 0)
  end
  redis.call('SET', KEYS[4], cmsgpack.pack(lock), 'PX', ARGV[3])
  return { 1, now, fence, fence }
end

if not in_time then
  return { 5, now }
end
if ended then
  return { 4, now }
end
local base = ARGV[9]
--COMMON
-- The boot record is whether the server is "new" or all is "calm", its run id, the longest quarantine that anybody has
-- asked for, and since when that server is known.
local rest = 0
if not calm then
  local run = string.match(ARGV[7], '^calm:(.*):%d+:$')
  local known, longest, since = string.match(found[1] or '', '^%a+:(.*):(%d+):(%d+)$')
  longest, since = math.max(longest or 0, ARGV[8]), tonumber(since)
  if known ~= run or since > now then
    -- Another server than the one that granted the locks which we know of, and perhaps others; or its clock was set back.
    since = now
  end
  rest = math.max(since + longest - now, 0)
  local record = table.concat({ rest > 0 and 'new' or 'calm', run, text(longest), text(since) }, ':')
  if record ~= found[1] then
    redis.call('SET', KEYS[1], record)
  end
end

-- Greater than all numbers before. The clock in it keeps it growing when the counter is lost.
local function number(least)
  local number = math.max(now, (found[2] or 0) + 1, least + 1)
  redis.call('SET', KEYS[2], text(number))
  return number
end

local mode = ARGV[4]
local fairness, max, ttl, may_queue, place, claim, queue_max =
  string.match(ARGV[10], '^(%d):(%d+):(%d+):(%d):(%d+):(%d+):(%d+)$')
local fair = fairness == '1'
max, ttl, place = tonumber(max), tonumber(ttl), tonumber(place)
local locks, held = {}, 0
for at = 4, #KEYS do
  local packed = found[3]
  if at > 4 then
    packed = redis.call('GET', KEYS[at])
  end
  local lock = read(now, KEYS[at], packed)
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
  return { 1, now, locks[1].fences[holds(locks[1], owner)], locks[1].turn }
end
if rest > 0 then
  return { 3, now, rest }
end

-- Returns what is left of the holders, when to come again, whether there only is no room, and whether only the queue is in the way.
local function obstacle(lock)
  local last, first = now, math.huge
  for i = 1, lock.count do
    last = math.max(last, lock.ends[i])
    first = math.min(first, lock.ends[i])
  end
  if lock.count > 0 and lock.mode ~= mode then
    return last - now, last - now, false
  end
  if room(lock, max) <= 0 then
    return last - now, first - now, true
  end
  if lock.queued == 0 then
    return
  end
  local from = 0
  while true do
    local before = redis.call('ZRANGE', lock.places, from, from + 15)
    for _, other in ipairs(before) do
      if other == owner then
        return
      end
      local is_fair, _, wanted_mode = wish(lock, other)
      if fair or is_fair == '1' or wanted_mode ~= mode then
        if place > 0 and tonumber(redis.call('ZSCORE', lock.places, other)) > place then
          -- We were dropped from the queue while we were late, and came before it.
          return
        end
        local life = tonumber(redis.call('ZSCORE', lock.lives, other))
        return last - now, life - now, false, true
      end
    end
    if #before < 16 then
      return
    end
    from = from + 16
  end
end

-- Notes that we wait, and returns our place; nothing if the queue has no room for us.
local function wait(lock, full)
  if ttl == 0 then
    return 0
  end
  local old = lock.queued == 1 and redis.call('ZSCORE', lock.places, owner)
  if may_queue ~= '1' or not (old or place > 0 or fair or not full) then
    if lock.wanted == 0 then
      lock.wanted = 1
      write(lock)
    end
    return 0
  end
  if old then
    place = tonumber(old)
  elseif place == 0 and lock.queued == 1 and redis.call('ZCARD', lock.places) >= tonumber(queue_max) then
    return
  elseif place == 0 then
    place = number(0)
  end
  redis.call('ZADD', lock.places, text(place), owner)
  redis.call('ZADD', lock.lives, text(now + ttl), owner)
  redis.call('HSET', lock.wishes, owner, fairness .. ':' .. max .. ':' .. mode)
  lock.queued = 1
  write(lock)
  return place
end

for index, lock in ipairs(locks) do
  local remaining, retry, full, by_queue = obstacle(lock)
  if remaining then
    local place = wait(lock, full)
    if not place then
      return { 6, now }
    end
    local head = by_queue and turn(lock)
    return { 2, now, index - 1, remaining, retry, place, head or '' }
  end
end

local fence = number(ARGV[5])
for _, lock in ipairs(locks) do
  lock.mode = lock.count > 0 and lock.mode or mode
  if lock.count == 0 or ARGV[5] + 0 >= lock.turn then
    lock.turn = fence
  end
  add(lock, owner, ending, fence, tonumber(ARGV[11]) or math.huge)
  leave(lock, owner)
  if lock.queued == 1 and max > 1 then
    local next, more, its_max, its_mode, its_fair = turn(lock)
    -- Then its own grant tells nobody.
    local is_last_told = next and not its_fair and next == redis.call('ZRANGE', lock.places, 0, 0)[1]
    if next and (fair or not is_last_told) then
      -- Kept back by the order alone: woken together with us it may have asked first, in vain; where it need not be fair, so
      -- may all there is room for. Or those before it, who may have been told, let in too few beside us.
      tell(now, lock, claim, next, is_last_told and more or 1, its_max, its_mode)
    end
  end
  write(lock)
end
return { 1, now, fence, locks[1].turn }

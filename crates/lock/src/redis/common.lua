-- The state of one lock, without what has ended by now. A lock is kept as a packed list: mode, whether
-- somebody outside the queue waits, whether there is a queue, and then owner, end and fence of each holder.
local function text(number)
  -- tostring(1.8e15) would be '1.8e+15'
  return string.format('%.0f', number)
end

local function read(now, at, packed)
  local lock = { at = at, mode = '', wanted = 0, queued = 0, count = 0, owners = {}, ends = {}, fences = {} }
  if not packed then
    return lock
  end
  local list = cmsgpack.unpack(packed)
  lock.mode, lock.wanted, lock.queued = list[1], list[2], list[3]
  for i = 4, #list, 3 do
    if list[i + 1] > now then
      lock.count = lock.count + 1
      lock.owners[lock.count], lock.ends[lock.count], lock.fences[lock.count] = list[i], list[i + 1], list[i + 2]
    end
  end
  if lock.queued == 1 then
    local places, lives, wishes = KEYS[at + 1], KEYS[at + 2], KEYS[at + 3]
    for _, dead in ipairs(redis.call('ZRANGEBYSCORE', lives, '-inf', text(now))) do
      redis.call('ZREM', places, dead)
      redis.call('ZREM', lives, dead)
      redis.call('HDEL', wishes, dead)
    end
    if redis.call('ZCARD', places) == 0 then
      lock.queued = 0
    end
  end
  return lock
end

local function write(lock)
  local at = lock.at
  if lock.count == 0 and lock.queued == 0 then
    redis.call('DEL', KEYS[at])
    return
  end
  local list, last = { lock.mode, lock.wanted, lock.queued }, 0
  for i = 1, lock.count do
    list[#list + 1], list[#list + 2], list[#list + 3] = lock.owners[i], lock.ends[i], lock.fences[i]
    last = math.max(last, lock.ends[i])
  end
  if lock.queued == 1 then
    last = math.max(last, tonumber(redis.call('ZREVRANGE', KEYS[at + 2], 0, 0, 'WITHSCORES')[2]))
  end
  -- Ends are decided by comparing times; the server only sweeps up, a second later.
  local sweep = text(math.ceil(last / 1000) + 1000)
  redis.call('SET', KEYS[at], cmsgpack.pack(list), 'PXAT', sweep)
  if lock.queued == 1 then
    for i = 1, 3 do
      redis.call('PEXPIREAT', KEYS[at + i], sweep)
    end
  end
end

local function holds(lock, owner)
  for i = 1, lock.count do
    if lock.owners[i] == owner then
      return i
    end
  end
end

-- What a waiter wants: whether it is fair, how many may hold in its mode, and the mode.
local function wish(lock, owner)
  return string.match(redis.call('HGET', KEYS[lock.at + 3], owner), '^(%d):(%d+):(.*)$')
end

-- After room was made: tells others, and gives the first of the queue, if it is its turn, a while to come.
local function freed(now, lock, claim, wanted, channel, name)
  if lock.queued == 1 then
    local first = redis.call('ZRANGE', KEYS[lock.at + 1], 0, 0)[1]
    local _, max, mode = wish(lock, first)
    local room = tonumber(max) - lock.count
    if lock.count > 0 and (mode ~= lock.mode or room <= 0) then
      return
    end
    if tonumber(redis.call('ZSCORE', KEYS[lock.at + 2], first)) > now + claim then
      redis.call('ZADD', KEYS[lock.at + 2], text(now + claim), first)
    end
    redis.call('PUBLISH', channel, table.concat({ first, room, max, mode, name }, '\n'))
  elseif lock.wanted == 1 or wanted then
    lock.wanted = 0
    redis.call('PUBLISH', channel, '\n\n\n\n' .. name)
  end
end

-- The greatest fence of somebody else.
local function rival(locks, owner)
  local fence = 0
  for _, lock in ipairs(locks) do
    for i = 1, lock.count do
      if lock.owners[i] ~= owner then
        fence = math.max(fence, lock.fences[i])
      end
    end
  end
  return fence
end


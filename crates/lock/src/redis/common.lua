-- The state of one lock, without what has ended by now. A lock is kept as a packed list: mode, whether
-- somebody outside the queue waits, whether there is a queue, and then owner, end and fence of each holder; a number
-- before an owner is how many it lets hold the lock, itself included, and without one it lets in any number. Last comes
-- the turn, which all share who hold it side by side; without one it is the fence of the first.
-- The names of the other keys of a lock follow from its own; they have the same hash tag.
local function text(number)
  -- tostring(1.8e15) would be '1.8e+15'
  return string.format('%.0f', number)
end

local function add(lock, owner, ending, fence, limit)
  local i = lock.count + 1
  lock.count, lock.owners[i], lock.ends[i], lock.fences[i], lock.limits[i] = i, owner, ending, fence, limit
end

local function remove(lock, i)
  for _, list in ipairs({ lock.owners, lock.ends, lock.fences, lock.limits }) do
    table.remove(list, i)
  end
  lock.count = lock.count - 1
end

-- How many more there is room for, if so many are wanted at the most: the smallest number counts.
local function room(lock, max)
  for i = 1, lock.count do
    max = math.min(max, lock.limits[i])
  end
  return max - lock.count
end

local function read(now, key, packed)
  local name = string.sub(key, #base + 6)
  local lock = {
    key = key, name = name,
    places = base .. 'places:' .. name, lives = base .. 'lives:' .. name, wishes = base .. 'wishes:' .. name,
    mode = '', wanted = 0, queued = 0, turn = 0, count = 0, owners = {}, ends = {}, fences = {}, limits = {},
  }
  if not packed then
    return lock
  end
  local list = cmsgpack.unpack(packed)
  lock.mode, lock.wanted, lock.queued = list[1], list[2], list[3]
  local i = 4
  while i < #list do
    local limit = math.huge
    if type(list[i]) == 'number' then
      limit, i = list[i], i + 1
    end
    if lock.turn == 0 then
      lock.turn = list[i + 2]
    end
    if list[i + 1] > now then
      add(lock, list[i], list[i + 1], list[i + 2], limit)
    end
    i = i + 3
  end
  if i == #list then
    lock.turn = list[i]
  end
  if lock.queued == 1 then
    for _, dead in ipairs(redis.call('ZRANGEBYSCORE', lock.lives, '-inf', text(now))) do
      redis.call('ZREM', lock.places, dead)
      redis.call('ZREM', lock.lives, dead)
      redis.call('HDEL', lock.wishes, dead)
    end
    if redis.call('ZCARD', lock.places) == 0 then
      lock.queued = 0
    end
  end
  return lock
end

local function write(lock)
  if lock.count == 0 and lock.queued == 0 then
    redis.call('DEL', lock.key)
    return
  end
  local list, last = { lock.mode, lock.wanted, lock.queued }, 0
  for i = 1, lock.count do
    if lock.limits[i] < math.huge then
      list[#list + 1] = lock.limits[i]
    end
    list[#list + 1], list[#list + 2], list[#list + 3] = lock.owners[i], lock.ends[i], lock.fences[i]
    last = math.max(last, lock.ends[i])
  end
  if lock.count > 0 and lock.turn ~= lock.fences[1] then
    list[#list + 1] = lock.turn
  end
  if lock.queued == 1 then
    last = math.max(last, tonumber(redis.call('ZREVRANGE', lock.lives, 0, 0, 'WITHSCORES')[2]))
  end
  -- Ends are decided by comparing times; the server only sweeps up, a second later.
  local sweep = text(math.ceil(last / 1000) + 1000)
  redis.call('SET', lock.key, cmsgpack.pack(list), 'PXAT', sweep)
  if lock.queued == 1 then
    redis.call('PEXPIREAT', lock.places, sweep)
    redis.call('PEXPIREAT', lock.lives, sweep)
    redis.call('PEXPIREAT', lock.wishes, sweep)
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
  return string.match(redis.call('HGET', lock.wishes, owner), '^(%d):(%d+):(.*)$')
end

-- Who of the queue can get in next: owner, how many there is room for, what it wants, whether it is fair. One who lets in too
-- few keeps nobody back unless it is fair. Without one, whether all of them only let in too few.
local function turn(lock)
  local from = 0
  while true do
    local waiters = redis.call('ZRANGE', lock.places, from, from + 15)
    for i, owner in ipairs(waiters) do
      local fair, max, mode = wish(lock, owner)
      fair = fair == '1'
      if (lock.count > 0 and mode ~= lock.mode) or (fair and from + i > 1) then
        return nil, false
      end
      local more = room(lock, tonumber(max))
      if more > 0 then
        return owner, more, max, mode, fair
      elseif fair then
        return nil, false
      end
    end
    if #waiters < 16 then
      return nil, true
    end
    from = from + 16
  end
end

-- Tells whose turn it is, and gives it a while to come.
local function tell(now, lock, claim, owner, more, max, mode)
  if tonumber(redis.call('ZSCORE', lock.lives, owner)) > now + claim then
    redis.call('ZADD', lock.lives, text(now + claim), owner)
  end
  redis.call('PUBLISH', base .. 'freed', table.concat({ owner, more, max, mode, lock.name }, '\n'))
end

-- After room was made: tells others.
local function freed(now, lock, claim, wanted)
  if lock.queued == 1 then
    if wanted then
      -- Whoever is not in the queue stands behind it, and is told when the queue has gone.
      lock.wanted = 1
    end
    local next, more, max, mode = turn(lock)
    if next then
      tell(now, lock, claim, next, more, max, mode)
    end
    -- Or when there is no room but for those who let in more, who may be outside of it.
    if next or not more then
      return
    end
  end
  if lock.wanted == 1 or wanted then
    lock.wanted = 0
    redis.call('PUBLISH', base .. 'freed', '\n\n\n\n' .. lock.name)
  end
end

-- Leaves the queue, and tells whether it was in it.
local function leave(lock, owner)
  if lock.queued == 0 or redis.call('ZREM', lock.places, owner) == 0 then
    return false
  end
  redis.call('ZREM', lock.lives, owner)
  redis.call('HDEL', lock.wishes, owner)
  lock.queued = redis.call('EXISTS', lock.places)
  return true
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


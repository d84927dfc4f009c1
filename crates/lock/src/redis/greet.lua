-- The first words on a connection: whose server this is, and since when.
-- KEYS: layout, boot record of each shard. ARGV: layout, run id, whether to begin a new quarantine, and how long it
--   lasts at the least (microseconds).
-- Answers: now. Fails on a replica, because it has something to write there.
local layout = redis.call('GET', KEYS[1])
if layout and layout ~= ARGV[1] then
  return redis.error_reply('LAYOUT the locks under this prefix are laid out as ' .. layout .. ', not ' .. ARGV[1])
end
if not layout then
  redis.call('SET', KEYS[1], ARGV[1])
end
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
for i = 2, #KEYS do
  -- Described where a lock is acquired. The longest quarantine is kept from server to server: whoever asked for it may
  -- come too late to ask again.
  local boot = redis.call('GET', KEYS[i]) or ''
  local state, run, longest, since = string.match(boot, '^(%a+):(.*):(%d+):(%d+)$')
  if ARGV[3] == '1' or run ~= ARGV[2] then
    state, since = 'new', string.format('%.0f', now)
  end
  longest = tonumber(longest or 0)
  if longest < tonumber(ARGV[4]) then
    state, longest = 'new', tonumber(ARGV[4])
  end
  local record = table.concat({ state, ARGV[2], string.format('%.0f', longest), since }, ':')
  if record ~= boot then
    redis.call('SET', KEYS[i], record)
  end
end
return now

-- Tells a shard whose server this is, and since when.
-- KEYS: boot record of the shard. ARGV: run id, whether to begin a new quarantine, and how long it lasts at the least
--   (microseconds).
-- Answers: now.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
-- Described where a lock is acquired. The longest quarantine is kept from server to server: whoever asked for it may
-- come too late to ask again.
local boot = redis.call('GET', KEYS[1]) or ''
local state, run, longest, since = string.match(boot, '^(%a+):(.*):(%d+):(%d+)$')
if ARGV[2] == '1' or run ~= ARGV[1] then
  state, since = 'new', string.format('%.0f', now)
end
longest = tonumber(longest or 0)
if longest < tonumber(ARGV[3]) then
  state, longest = 'new', tonumber(ARGV[3])
end
local record = table.concat({ state, ARGV[1], string.format('%.0f', longest), since }, ':')
if record ~= boot then
  redis.call('SET', KEYS[1], record)
end
return now

-- The first words on a connection: whose server this is, and since when.
-- KEYS: layout, boot record of each shard. ARGV: layout, run id, whether to begin a new quarantine.
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
  local boot = redis.call('GET', KEYS[i])
  if ARGV[3] == '1' or not boot or string.sub(boot, 1, #ARGV[2]) ~= ARGV[2] then
    redis.call('SET', KEYS[i], ARGV[2] .. ':' .. string.format('%.0f', now))
  end
end
return now

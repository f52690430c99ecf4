-- Append contiguous entries to the window of one session and wake its readers.
--
-- KEYS  the window
-- ARGV  wake channel · entries to keep · time to live in ms · first word of a message
--       that carries entries, empty for one of the head alone · seq of the first entry · then type,
--       run id and body of each entry
-- Says  ok   appended, maybe after skipping a prefix that was there before
--       dup  all of it was there before: whoever appended it has woken the readers
--       gap  nothing was written: the window ends before the entry ahead of the first one
--
-- One key only: sessions may live on different nodes. Seqs are exact up to 2^53 here, as doubles.
local window, channel, keep, ttl, version = KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local first = tonumber(ARGV[5])
local head = first + (#ARGV - 5) / 3 - 1

-- The newest entry, not the last generated id: the second outlives entries that an operator
-- deleted, and readers need entries.
local newest = redis.call('XREVRANGE', window, '+', '-', 'COUNT', 1)[1]
local last = newest and tonumber(string.match(newest[1], '^%d+')) or 0

if last < first - 1 then
  return 'gap'
end

local trimmed = false
for seq = last + 1, head do
  local at = 6 + (seq - first) * 3
  -- %.0f: tostring() would write 1e+15.
  local id = string.format('%.0f-0', seq)
  local added = redis.pcall('XADD', window, id, 't', ARGV[at], 'r', ARGV[at + 1], 'b', ARGV[at + 2])
  if type(added) == 'table' and added.err then
    local half = math.floor(redis.call('XLEN', window) / 2)
    if string.find(added.err, 'OOM', 1, true) and not trimmed and half >= head - last then
      -- Out of memory: the window gives up its older half, where that is room enough for what is to come. So
      -- all windows together are as large as Redis lets them be, and none stands still; readers of older
      -- events have the store. Having written, the script may go on: Redis looks at memory before the first
      -- write only.
      redis.call('XTRIM', window, 'MAXLEN', half)
      trimmed = true
      added = redis.pcall('XADD', window, id, 't', ARGV[at], 'r', ARGV[at + 1], 'b', ARGV[at + 2])
    end
  end
  if type(added) == 'table' and added.err then
    -- Only the first XADD can be refused so, and only if entries were deleted by hand: Redis
    -- takes no id a second time. A rebase begins with a fresh key.
    if string.find(added.err, 'equal or smaller', 1, true) then
      return 'gap'
    end
    return added
  end
end

redis.call('PEXPIRE', window, ttl)
if last >= head then
  return 'dup'
end
-- By count alone: ids are seqs, so MINID knows no time. Age is the expiry of the whole window.
redis.call('XTRIM', window, 'MAXLEN', '~', keep)
-- Only here, where something was appended, and only that: a reader may take it for the window's own.
local news = string.format('%.0f', head)
if version ~= '' then
  local at = 6 + (last + 1 - first) * 3
  news = version .. string.format('%.0f ', last + 1) .. news .. '\n' .. table.concat(ARGV, '\n', at)
end
redis.call('PUBLISH', channel, news)
return 'ok'

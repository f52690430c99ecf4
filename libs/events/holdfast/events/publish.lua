-- Append contiguous entries to the window of one session and wake its readers.
--
-- KEYS  the window
-- ARGV  wake channel · entries to keep · time to live in ms, 0 to keep for good · seq of the first
--       entry · then type, run id and body of each entry
-- Says  ok   appended, maybe after skipping a prefix that was there before
--       dup  all of it was there before: whoever appended it has woken the readers
--       gap  nothing was written: the window ends before the entry ahead of the first one
--
-- One key only: sessions may live on different nodes. Seqs are exact up to 2^53 here, as doubles.
local window, channel, keep, ttl = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
local first = tonumber(ARGV[4])
local head = first + (#ARGV - 4) / 3 - 1

-- The newest entry, not the last generated id: the second outlives entries that an operator
-- deleted, and readers need entries.
local newest = redis.call('XREVRANGE', window, '+', '-', 'COUNT', 1)[1]
local last = newest and tonumber(string.match(newest[1], '^%d+')) or 0

if last < first - 1 then
  return 'gap'
end

for seq = last + 1, head do
  local at = 5 + (seq - first) * 3
  -- %.0f: tostring() would write 1e+15.
  local added = redis.pcall('XADD', window, string.format('%.0f-0', seq),
    't', ARGV[at], 'r', ARGV[at + 1], 'b', ARGV[at + 2])
  if type(added) == 'table' and added.err then
    -- Only the first XADD can be refused so, and only if entries were deleted by hand: Redis
    -- takes no id a second time. A rebase begins with a fresh key.
    if string.find(added.err, 'equal or smaller', 1, true) then
      return 'gap'
    end
    return added
  end
end

if ttl == '0' then
  redis.call('PERSIST', window)
else
  redis.call('PEXPIRE', window, ttl)
end
if last >= head then
  return 'dup'
end
-- By count alone: ids are seqs, so MINID knows no time. Age is the expiry of a session at rest.
redis.call('XTRIM', window, 'MAXLEN', '~', keep)
redis.call('PUBLISH', channel, string.format('%.0f', head))
return 'ok'

-- Begin the window of one session anew with these entries, unless it reaches as far already.
--
-- KEYS and ARGV as for publish.lua, but nothing is trimmed: a call carries less than a window.
-- Says  ok   the window holds these entries and no others, and its readers are woken
--       dup  the window reaches as far or further: it never goes back
local window, channel, ttl = KEYS[1], ARGV[1], ARGV[2]
local first = tonumber(ARGV[3])
local head = first + (#ARGV - 3) / 3 - 1

local newest = redis.call('XREVRANGE', window, '+', '-', 'COUNT', 1)[1]
local last = newest and tonumber(string.match(newest[1], '^%d+')) or 0
local fits = last >= head

if not fits then
  -- A Redis out of memory refuses the first write of a script and lets the others pass. DEL it
  -- would let pass, and then every XADD: so the first is one that it refuses. On a missing window
  -- it does nothing, and from an existing one the next line deletes what it did.
  redis.call('XADD', window, 'NOMKSTREAM', '*', 't', '')
  redis.call('DEL', window)
  for seq = first, head do
    local at = 4 + (seq - first) * 3
    redis.call('XADD', window, string.format('%.0f-0', seq),
      't', ARGV[at], 'r', ARGV[at + 1], 'b', ARGV[at + 2])
  end
end

redis.call('PEXPIRE', window, ttl)
if fits then
  return 'dup'
end
redis.call('PUBLISH', channel, string.format('%.0f', head))
return 'ok'

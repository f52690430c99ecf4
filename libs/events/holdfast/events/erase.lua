-- Leave one entry in the window of an erased session, the event that says so, whatever it held.
--
-- KEYS  the window
-- ARGV  wake channel · time to live in ms · seq, type, run id and body of the entry
-- Says  ok   what else there was is gone, and the window's readers are woken
--       dup  there was nothing else
--
-- At no moment is the window empty: a command of before the erasure that arrives late finds it further on.
local window, channel, ttl, seq = KEYS[1], ARGV[1], ARGV[2], ARGV[3]

local oldest = redis.call('XRANGE', window, '-', '+', 'COUNT', 1)[1]
local clean = oldest and oldest[1] == seq .. '-0' and redis.call('XLEN', window) == 1

if not clean then
  -- Out of memory, Redis refuses this write and so the script; DEL it would let pass (see rebase.lua).
  redis.call('XADD', window, 'NOMKSTREAM', '*', 't', '')
  redis.call('DEL', window)
  redis.call('XADD', window, seq .. '-0', 't', ARGV[4], 'r', ARGV[5], 'b', ARGV[6])
end
redis.call('PEXPIRE', window, ttl)
if clean then
  return 'dup'
end
redis.call('PUBLISH', channel, seq)
return 'ok'

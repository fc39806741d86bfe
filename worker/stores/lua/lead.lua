-- flags: allow-oom
-- Become or stay the one that keeps house, for a few seconds at a time.
local a = cjson.decode(ARGV[1])
local leader = redis.call('GET', key.leader())
if leader and leader ~= a.name then return 0 end
redis.call('SET', key.leader(), a.name, 'PX', a.ttl_ms)
return 1

-- flags: allow-oom
-- Release a lock, if it is still ours.
local a = cjson.decode(ARGV[1])
if redis.call('GET', a.name) == a.token then return redis.call('DEL', a.name) end
return 0

-- flags: allow-oom
-- Read an identity's weights from the cache, and note the use.
local a = cjson.decode(ARGV[1])
local member = a.identity .. ':' .. a.pack
local blob = redis.call('GET', key.weights(member))
if blob then redis.call('ZADD', key.weights_lru(), 'XX', a.now_ms, member) end
redis.call('HINCRBY', key.stats(), blob and 'weights:hit' or 'weights:miss', 1)
return blob

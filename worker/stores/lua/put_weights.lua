-- Put an identity's weights into the cache and make room for them first, so that the bound always holds.
-- ARGV[2]: the weights' bytes. Returns 'stored', 'too_large', 'unknown' when the identity is gone, or
-- 'superseded' when they are derived ones and refined ones have come meanwhile.
local a = cjson.decode(ARGV[1])
local blob = ARGV[2]
if redis.call('EXISTS', key.identity(a.identity)) == 0 then return 'unknown' end
if not a.refined and redis.call('HEXISTS', key.identity(a.identity), 'refined:' .. a.pack) == 1 then return 'superseded' end
if #blob > a.bound then return 'too_large' end
local member = a.identity .. ':' .. a.pack

local function drop(name)
  local size = redis.call('HGET', key.weights_sizes(), name)
  redis.call('DEL', key.weights(name))
  redis.call('ZREM', key.weights_lru(), name)
  if size then
    redis.call('HDEL', key.weights_sizes(), name)
    redis.call('DECRBY', key.weights_bytes(), size)
  end
end

drop(member)
while tonumber(redis.call('GET', key.weights_bytes()) or 0) + #blob > a.bound do
  drop(redis.call('ZRANGE', key.weights_lru(), 0, 0)[1])
end
redis.call('SET', key.weights(member), blob)
redis.call('ZADD', key.weights_lru(), a.now_ms, member)
redis.call('HSET', key.weights_sizes(), member, #blob)
redis.call('INCRBY', key.weights_bytes(), #blob)
redis.call('SADD', key.identity_packs(a.identity), a.pack)
return 'stored'

-- Put an identity's derived weights into the cache and make room for them first, so that the bound always holds.
-- ARGV[2]: the weights' bytes. Returns 'stored', 'too_large', or 'unknown' when the identity is gone.
local a = cjson.decode(ARGV[1])
local blob = ARGV[2]
if redis.call('EXISTS', 'lk:identity:' .. a.identity) == 0 then return 'unknown' end
if #blob > a.bound then return 'too_large' end
local member = a.identity .. ':' .. a.pack

local function drop(name)
  local size = redis.call('HGET', 'lk:weights:sizes', name)
  redis.call('DEL', 'lk:weights:' .. name)
  redis.call('ZREM', 'lk:weights:lru', name)
  if size then
    redis.call('HDEL', 'lk:weights:sizes', name)
    redis.call('DECRBY', 'lk:weights:bytes', size)
  end
end

drop(member)
while tonumber(redis.call('GET', 'lk:weights:bytes') or 0) + #blob > a.bound do
  drop(redis.call('ZRANGE', 'lk:weights:lru', 0, 0)[1])
end
redis.call('SET', 'lk:weights:' .. member, blob)
redis.call('ZADD', 'lk:weights:lru', a.now_ms, member)
redis.call('HSET', 'lk:weights:sizes', member, #blob)
redis.call('INCRBY', 'lk:weights:bytes', #blob)
redis.call('SADD', 'lk:identity:' .. a.identity .. ':packs', a.pack)
return 'stored'

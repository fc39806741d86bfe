-- flags: allow-oom
-- Remove everything that is made of a face; a tombstone remembers only that it is gone.
-- Returns {keys removed, job id, job id, …}, or false when there is no such identity.
local a = cjson.decode(ARGV[1])
local identity = 'lk:identity:' .. a.identity
local tenant = redis.call('HGET', identity, 'tenant')
if not tenant then return false end
local removed = 0
for _, pack in ipairs(redis.call('SMEMBERS', identity .. ':packs')) do
  local member = a.identity .. ':' .. pack
  removed = removed + redis.call('DEL', 'lk:weights:' .. member, 'lk:refined:' .. member)
  redis.call('ZREM', 'lk:weights:lru', member)
  local size = redis.call('HGET', 'lk:weights:sizes', member)
  if size then
    redis.call('HDEL', 'lk:weights:sizes', member)
    redis.call('DECRBY', 'lk:weights:bytes', size)
  end
end
local jobs = redis.call('SMEMBERS', identity .. ':jobs')
removed = removed + redis.call('DEL', identity, identity .. ':code', identity .. ':packs', identity .. ':jobs')
redis.call('ZREM', 'lk:tenant:' .. tenant .. ':identities', a.identity)
redis.call('ZREM', 'lk:expiry', a.identity)
redis.call('HSET', 'lk:erased:' .. a.identity, 'tenant', tenant, 'erased_at', a.now, 'keys', removed)
redis.call('EXPIRE', 'lk:erased:' .. a.identity, a.tombstone_ttl_s)
redis.call('XADD', 'lk:erasures', 'MAXLEN', '~', 10000, '*', 'identity', a.identity)
redis.call('SET', 'lk:erasure:wanted', a.now)
table.insert(jobs, 1, tostring(removed))
return jobs

-- flags: allow-oom
-- Remove everything that is made of a face, and the key to what is sealed of it outside; a tombstone remembers
-- only that it is gone.
-- Returns {keys removed, job id, job id, …}, or false when there is no such identity.
local a = cjson.decode(ARGV[1])
local identity = key.identity(a.identity)
local tenant = redis.call('HGET', identity, 'tenant')
if not tenant then return false end
local removed = 0
for _, pack in ipairs(redis.call('SMEMBERS', key.identity_packs(a.identity))) do
  local member = a.identity .. ':' .. pack
  removed = removed + redis.call('DEL', key.weights(member))
  redis.call('ZREM', key.weights_lru(), member)
  local size = redis.call('HGET', key.weights_sizes(), member)
  if size then
    redis.call('HDEL', key.weights_sizes(), member)
    redis.call('DECRBY', key.weights_bytes(), size)
  end
end
local jobs = redis.call('SMEMBERS', key.identity_jobs(a.identity))
removed = removed + redis.call('DEL', identity, key.identity_packs(a.identity), key.identity_jobs(a.identity))
redis.call('ZREM', key.tenant_identities(tenant), a.identity)
redis.call('ZREM', key.expiry(), a.identity)
redis.call('HSET', key.erased(a.identity), 'tenant', tenant, 'erased_at', a.now, 'keys', removed)
redis.call('EXPIRE', key.erased(a.identity), a.tombstone_ttl_s)
redis.call('XADD', key.erasures(), 'MAXLEN', '~', 10000, '*', 'identity', a.identity)
redis.call('SET', key.erasure_wanted(), a.now)
table.insert(jobs, 1, tostring(removed))
return jobs

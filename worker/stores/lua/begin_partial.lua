-- Begin an upload that arrives in parts, unless its tenant has too many of them or too little room.
-- uses: storage
-- Returns 'begun', 'too_many' or 'storage_quota'.
local a = cjson.decode(ARGV[1])
if redis.call('SCARD', key.tenant_partials(a.tenant)) >= a.max_partials then return 'too_many' end
if stored_bytes(a.tenant) + a.length > storage_quota(a.tenant, a.max_stored_bytes) then return 'storage_quota' end
redis.call('HSET', key.partial(a.upload), 'tenant', a.tenant, 'length', a.length, 'offset', 0,
  'expires_at', a.expires_at)
redis.call('SADD', key.tenant_partials(a.tenant), a.upload)
redis.call('ZADD', key.expiry(), a.expires_at, a.upload)
return 'begun'

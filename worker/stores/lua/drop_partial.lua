-- flags: allow-oom
-- Forget an upload that arrived in parts; `expires` says that its id is no longer on the list of what expires.
-- uses: storage
local a = cjson.decode(ARGV[1])
local partial = key.partial(a.upload)
local tenant, offset, until_at = unpack(redis.call('HMGET', partial, 'tenant', 'offset', 'claimed_until'))
if not tenant then return 0 end
if not until_at then add_stored(tenant, -tonumber(offset)) end
redis.call('SREM', key.tenant_partials(tenant), a.upload)
-- The whole upload expires under the same id.
if a.expires then redis.call('ZREM', key.expiry(), a.upload) end
return redis.call('DEL', partial, key.partial_parts(a.upload))

-- Add a part that is stored under `name` to an upload, if it continues where the upload ends.
-- uses: storage
-- Returns {'appended', offset}, or why not and where the upload ends.
local a = cjson.decode(ARGV[1])
local partial, parts = key.partial(a.upload), key.partial_parts(a.upload)
local tenant, offset, length = unpack(redis.call('HMGET', partial, 'tenant', 'offset', 'length'))
if not tenant then return {'unknown', 0} end
offset = tonumber(offset)
if offset ~= a.offset or offset + a.bytes > tonumber(length) then return {'elsewhere', offset} end
if redis.call('LLEN', parts) >= a.max_parts then return {'too_many_parts', offset} end
if stored_bytes(tenant) + a.bytes > storage_quota(tenant, a.max_stored_bytes) then return {'storage_quota', offset} end
redis.call('RPUSH', parts, a.name)
redis.call('HSET', partial, 'offset', offset + a.bytes, 'expires_at', a.expires_at)
redis.call('ZADD', key.expiry(), a.expires_at, a.upload)
add_stored(tenant, a.bytes)
return {'appended', offset + a.bytes}

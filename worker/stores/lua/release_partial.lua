-- flags: allow-oom
-- Undo a claim: the whole could not be kept for now, and the parts count again.
-- uses: storage
local a = cjson.decode(ARGV[1])
local partial = key.partial(a.upload)
local tenant, offset, until_at = unpack(redis.call('HMGET', partial, 'tenant', 'offset', 'claimed_until'))
if not tenant or not until_at then return 0 end
add_stored(tenant, tonumber(offset))
return redis.call('HDEL', partial, 'claimed_until')

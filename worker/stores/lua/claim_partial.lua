-- Take a complete upload to be put together: its parts count no longer while the whole is written.
-- uses: storage
-- Returns 'claimed', 'busy' while another request puts it together, or 'unknown'.
local a = cjson.decode(ARGV[1])
local partial = key.partial(a.upload)
local tenant, offset, until_at = unpack(redis.call('HMGET', partial, 'tenant', 'offset', 'claimed_until'))
if not tenant then return 'unknown' end
if until_at and tonumber(until_at) > a.now then return 'busy' end
if not until_at then add_stored(tenant, -tonumber(offset)) end
redis.call('HSET', partial, 'claimed_until', a.now + a.for_s)
return 'claimed'

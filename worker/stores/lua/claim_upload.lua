-- flags: allow-oom
-- Reserve an upload that is about to be deleted: from now on no job is admitted with it.
-- uses: storage
-- A claim that is never released ends with the upload's deletion, by the expiry sweep at `until`.
-- Returns 'claimed', 'in_use' while a job or another claim needs it, or 'unknown'.
local a = cjson.decode(ARGV[1])
local upload = key.upload(a.upload)
local tenant = redis.call('HGET', upload, 'tenant')
if not tenant or (a.tenant and tenant ~= a.tenant) then return 'unknown' end
if redis.call('SCARD', key.upload_holds(a.upload)) > 0 or is_claimed(a.upload, a.now) then return 'in_use' end
if a.unused and redis.call('SCARD', key.upload_jobs(a.upload)) > 0 then return 'in_use' end
redis.call('HSET', upload, 'claimed_until', a['until'])
redis.call('ZADD', key.expiry(), a['until'], a.upload)
return 'claimed'

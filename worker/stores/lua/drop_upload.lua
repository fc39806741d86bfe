-- flags: allow-oom
-- Remove the record of an upload whose file is gone.
-- uses: storage
local a = cjson.decode(ARGV[1])
local upload = key.upload(a.upload)
local tenant, sha256, bytes = unpack(redis.call('HMGET', upload, 'tenant', 'sha256', 'bytes'))
if tenant and sha256 then redis.call('SREM', content_index(tenant, sha256), a.upload) end
if tenant and bytes then add_stored(tenant, -tonumber(bytes)) end
if tenant then redis.call('ZREM', key.tenant_uploads(tenant), a.upload) end
redis.call('ZREM', key.expiry(), a.upload)
return redis.call('DEL', upload, key.upload_holds(a.upload), key.upload_jobs(a.upload))

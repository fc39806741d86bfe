-- Record an upload, unless its tenant has stored as much as it may.
-- uses: storage
-- Returns 'kept' or 'storage_quota'.
local a = cjson.decode(ARGV[1])
if stored_bytes(a.tenant) + a.bytes > storage_quota(a.tenant, a.max_stored_bytes) then return 'storage_quota' end
local upload = key.upload(a.upload)
redis.call('HSET', upload, 'tenant', a.tenant, 'record', a.record, 'sha256', a.sha256, 'bytes', a.bytes)
redis.call('SADD', content_index(a.tenant, a.sha256), a.upload)
redis.call('ZADD', key.expiry(), a.expires_at, a.upload)
redis.call('ZADD', key.tenant_uploads(a.tenant), 0, a.upload)
add_stored(a.tenant, a.bytes)
return 'kept'

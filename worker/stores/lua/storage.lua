-- Shared by scripts that say `-- uses: storage`: what a tenant has stored, and which uploads are one content.
--
-- stored              bytes of uploads and results by tenant, and of all of them under '*'
-- content             uploads of the tenant that have these bytes
-- upload_holds        jobs in flight that need the upload
-- upload_jobs         jobs that have used it, until they are deleted

local function stored_bytes(tenant)
  return tonumber(redis.call('HGET', key.stored(), tenant) or 0)
end

local function add_stored(tenant, bytes)
  redis.call('HINCRBY', key.stored(), tenant, bytes)
  redis.call('HINCRBY', key.stored(), '*', bytes)
end

local function storage_quota(tenant, default)
  return tonumber(redis.call('HGET', key.tenant(tenant), 'max_stored_bytes')) or default
end

local function content_index(tenant, sha256)
  return key.content(tenant, sha256)
end

-- Whether an upload is reserved by a registration or a deletion.
local function is_claimed(upload, now)
  local claimed_until = redis.call('HGET', key.upload(upload), 'claimed_until')
  return claimed_until and tonumber(claimed_until) > now
end

-- Take the bytes of a job's result off its tenant's account, once.
local function forget_result_bytes(job)
  local tenant, bytes = unpack(redis.call('HMGET', job, 'tenant', 'stored_bytes'))
  if tenant and bytes then
    redis.call('HDEL', job, 'stored_bytes')
    add_stored(tenant, -tonumber(bytes))
  end
end

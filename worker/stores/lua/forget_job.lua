-- flags: allow-oom
-- Remove what the store knows of a job that has ended; the files are the caller's.
-- uses: tasks
-- uses: storage
local a = cjson.decode(ARGV[1])
local job = key.job(a.job)
local status, tenant = unpack(redis.call('HMGET', job, 'status', 'tenant'))
if not status then return 'missing' end
if not FINAL[status] then return 'running' end
for _, identity in ipairs(a.identities) do
  redis.call('SREM', key.identity_jobs(identity), a.job)
end
for _, upload in ipairs(a.uploads) do
  redis.call('SREM', key.upload_jobs(upload), a.job)
  redis.call('SREM', key.upload_holds(upload), a.job)
end
forget_result_bytes(job)
redis.call('ZREM', key.tenant_jobs(tenant), a.job)
redis.call('ZREM', key.expiry(), a.job)
redis.call('ZREM', key.dead(), a.job)
redis.call('ZREM', key.settled(), a.job)
redis.call('DEL', job, key.job_events(a.job))
return 'forgotten'

-- flags: allow-oom
-- A job's result has expired: neither a requeue nor the erasure of an identity concerns the job any more.
local a = cjson.decode(ARGV[1])
redis.call('ZREM', key.dead(), a.job)
for _, upload in ipairs(a.uploads) do redis.call('SREM', key.upload_holds(upload), a.job) end
for _, identity in ipairs(a.identities) do
  redis.call('SREM', key.identity_jobs(identity), a.job)
end
return 'expired'

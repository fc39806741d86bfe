-- flags: allow-oom
-- A job's result has expired: neither a requeue nor the erasure of an identity concerns the job any more.
local a = cjson.decode(ARGV[1])
redis.call('ZREM', key.dead(), a.job)
local identities = redis.call('HGET', key.job(a.job), 'identities')
for _, identity in ipairs(cjson.decode(identities or '[]')) do
  redis.call('SREM', key.identity_jobs(identity), a.job)
end
return 'expired'

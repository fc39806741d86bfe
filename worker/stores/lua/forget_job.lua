-- flags: allow-oom
-- Remove what the store knows of a job that has ended; the files are the caller's.
-- uses: tasks
-- uses: storage
local a = cjson.decode(ARGV[1])
local job = 'lk:job:' .. a.job
local status, tenant = unpack(redis.call('HMGET', job, 'status', 'tenant'))
if not status then return 'missing' end
if not FINAL[status] then return 'running' end
for _, identity in ipairs(cjson.decode(redis.call('HGET', job, 'identities'))) do
  redis.call('SREM', 'lk:identity:' .. identity .. ':jobs', a.job)
end
for _, upload in ipairs(cjson.decode(redis.call('HGET', job, 'uploads'))) do
  redis.call('SREM', 'lk:media:' .. upload .. ':jobs', a.job)
end
forget_result_bytes(job)
redis.call('ZREM', 'lk:tenant:' .. tenant .. ':jobs', a.job)
redis.call('ZREM', 'lk:expiry', a.job)
redis.call('ZREM', 'lk:dead', a.job)
redis.call('DEL', job, job .. ':events')
return 'forgotten'

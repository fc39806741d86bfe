-- flags: allow-oom
-- Put the packed record of a job that ended a while ago in the place of its fields, and forget its events.
-- Returns 'packed', or 'changed' when the record is not the one that was packed.
local a = cjson.decode(ARGV[1])
local job = key.job(a.job)
redis.call('ZREM', key.settled(), a.job)
if redis.call('HGET', job, 'version') ~= a.version then return 'changed' end
local ttl = redis.call('PTTL', job)
redis.call('DEL', job, key.job_events(a.job))
for name, value in pairs(a.fields) do redis.call('HSET', job, name, value) end
redis.call('HSET', job, 'packed', ARGV[2])
if ttl > 0 then redis.call('PEXPIRE', job, ttl) end
return 'packed'

-- flags: allow-oom
-- A worker's child takes up a task, unless the job is over or another attempt has it.
-- Returns {the job's record, its identities' records, its upload's record, the never-swap list's version} or why
-- there is nothing to do. A record that is gone is empty.
-- uses: tasks
local a = cjson.decode(ARGV[1])
local task, why = fenced(a.task, a.attempt, a.job)
if not task then return why end
if task.status == 'canceling' then return 'canceling' end
local job = key.job(a.job)
redis.call('HSET', key.task(a.task), 'state', 'running', 'worker', a.worker, 'taken', a.now)
redis.call('HINCRBY', key.task(a.task), 'begun', 1)
redis.call('SREM', key.delivered(task.queue), a.task)
redis.call('SADD', key.running(task.queue), a.task)
redis.call('ZREM', key.queued(task.queue), a.task)
if a.attempt > tonumber(redis.call('HGET', job, 'attempt') or 0) then redis.call('HSET', job, 'attempt', a.attempt) end
if task.status == 'queued' then
  redis.call('HSET', job, 'status', 'running', 'started_at', a.now)
  emit(a.job, 'status', '{"status":"running"}')
end
redis.call('HINCRBY', job, 'version', 1)
local identities = {}
for _, identity in ipairs(cjson.decode(redis.call('HGET', job, 'identities'))) do
  table.insert(identities, {identity, redis.call('HGETALL', key.identity(identity))})
end
local upload = cjson.decode(redis.call('HGET', job, 'uploads'))[1]
return {redis.call('HGETALL', job), identities, upload and redis.call('HGETALL', key.upload(upload)) or {},
  redis.call('GET', key.blocklist_version()) or ''}

-- flags: allow-oom
-- Ask a job to end. Its attempts see the flag at their next step; a job that nobody runs may be settled at once.
-- uses: tasks
-- Returns {'final' | 'missing' | 'canceling', 'idle' | 'running'}.
local a = cjson.decode(ARGV[1])
local job = key.job(a.job)
local status = redis.call('HGET', job, 'status')
if not status then return {'missing', 'idle'} end
if FINAL[status] then return {'final', 'idle'} end
if status ~= 'canceling' then
  redis.call('HSET', job, 'status', 'canceling', 'cancel_reason', a.reason, 'canceling_at', a.now)
  redis.call('HINCRBY', job, 'version', 1)
  redis.call('ZADD', key.canceling(), a.now, a.job)
  emit(a.job, 'status', '{"status":"canceling"}')
end
local activity = 'idle'
for _, task in ipairs(redis.call('SMEMBERS', key.job_tasks(a.job))) do
  local state = redis.call('HGET', key.task(task), 'state')
  if state == 'running' then activity = 'running' end
  if state == 'waiting' then
    leave(task, redis.call('HGET', job, 'tenant'), redis.call('HGET', key.task(task), 'queue'), a.now)
    redis.call('HSET', key.task(task), 'state', 'done')
  end
end
return {'canceling', activity}

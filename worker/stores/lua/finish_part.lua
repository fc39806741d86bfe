-- flags: allow-oom
-- Record a part, let the next one into the line, and after the last one let the task that follows in.
-- uses: tasks
local a = cjson.decode(ARGV[1])
local task, why = fenced(a.task, a.attempt, a.job)
if not task then return why end
if task.status == 'canceling' then return 'canceling' end
local job = key.job(a.job)
leave(a.task, task.tenant, task.queue, a.now_ms / 1000)
for name, count in pairs(a.spent) do redis.call('HINCRBY', key.job_spent(a.job), name, count) end
redis.call('HSET', key.task(a.task), 'state', 'done', 'outcome', a.outcome)
redis.call('HSET', key.job_parts(a.job), a.task, a.outcome)
redis.call('HINCRBY', job, 'version', 1)

local following = redis.call('LPOP', key.job_held(a.job))
if redis.call('HINCRBY', job, 'parts_left', -1) == 0 then
  following = a.job .. '-' .. redis.call('HGET', job, 'following')
  add_task(following, a.job, task.tenant, task.queue, task.class, 'waiting')
end
if following then
  redis.call('HSET', key.task(following), 'state', 'waiting')
  redis.call('ZADD', key.tasks_active(), a.now_ms, following)
  stand_in_line(following, task.tenant, task.queue, task.class, a.now_ms)
end
return 'finished'

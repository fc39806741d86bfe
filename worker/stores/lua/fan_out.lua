-- flags: allow-oom
-- Replace a task of a long video by one task per part; a few stand in line, the others are held back.
-- Once all are done, the task `following` begins.
-- uses: tasks
local a = cjson.decode(ARGV[1])
local task, why = fenced(a.task, a.attempt, a.job)
if not task then return why end
if task.status == 'canceling' then return 'canceling' end
local job = key.job(a.job)
for index, part in ipairs(a.parts) do
  local state = index <= a.in_flight and 'waiting' or 'held'
  add_task(part, a.job, task.tenant, task.queue, task.class, state)
  if state == 'held' then
    redis.call('RPUSH', key.job_held(a.job), part)
  else
    redis.call('ZADD', key.tasks_active(), a.now_ms, part)
    stand_in_line(part, task.tenant, task.queue, task.class, a.now_ms)
  end
end
if #a.parts > a.in_flight then redis.call('ZADD', key.holding(task.queue), redis.call('GET', key.turn_clock(task.queue)) or 0, a.job) end
leave(a.task, task.tenant, task.queue, a.now_ms / 1000)
for name, count in pairs(a.spent) do redis.call('HINCRBY', key.job_spent(a.job), name, count) end
redis.call('HSET', key.task(a.task), 'state', 'done')
redis.call('HSET', job, 'plan', a.plan, 'parts_left', #a.parts, 'progress_done', 0, 'progress_total', a.total,
  'progress_unit', a.unit, 'following', a.following)
return 'planned'

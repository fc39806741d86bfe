-- flags: allow-oom
-- Put a task whose attempt was lost, failed or handed back at the front of its line, with the next attempt's number.
-- uses: tasks
-- Returns 'waiting', 'exhausted' when it has been begun too often, or why nothing is to be done.
local a = cjson.decode(ARGV[1])
local task, why = fenced(a.task, a.attempt, a.job)
if not task then return why end
if task.status == 'canceling' then return 'canceling' end
local begun = task.begun
if a.handed_back and task.state == 'running' then
  begun = redis.call('HINCRBY', key.task(a.task), 'begun', -1)
end
if begun >= a.max_begun or a.attempt >= a.max_attempts then return 'exhausted' end
give_back_place(a.task, task.tenant, task.queue, a.now)
redis.call('HSET', key.task(a.task), 'attempt', a.attempt + 1, 'state', 'waiting', 'done', 0)
redis.call('HINCRBY', key.job(a.job), 'progress_done', -task.done)
redis.call('HINCRBY', key.job(a.job), 'version', 1)
redis.call('HINCRBY', key.stats(), 'redeliveries', 1)
stand_in_line(a.task, task.tenant, task.queue, task.class, 0)
return 'waiting'

-- flags: allow-oom
-- Note how far an attempt has come; the answer tells it whether to go on.
-- uses: tasks
local a = cjson.decode(ARGV[1])
local task, why = fenced(a.task, a.attempt, a.job)
if not task then return why end
if task.status == 'canceling' then return 'canceling' end
local job = key.job(a.job)
redis.call('HSET', key.task(a.task), 'done', a.done)
-- By difference, because several segments of one video report to the same job.
local done = redis.call('HINCRBY', job, 'progress_done', a.done - task.done)
if a.total then redis.call('HSET', job, 'progress_total', a.total) end
local total = tonumber(redis.call('HGET', job, 'progress_total') or 0)
redis.call('HSET', job, 'progress_unit', a.unit, 'progress_at', a.now)
redis.call('HINCRBY', job, 'version', 1)
emit(a.job, 'progress', string.format('{"done":%d,"total":%d,"unit":"%s","started_at":%s,"at":%s}',
  done, total, a.unit, redis.call('HGET', job, 'started_at') or 'null', a.now))
return 'ok'

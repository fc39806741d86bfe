-- Append an audit entry under the next number. The numbers have no gaps, so a removed entry shows.
local a = cjson.decode(ARGV[1])
local seq = redis.call('INCR', 'lk:audit:seq')
redis.call('XADD', 'lk:audit', '*', 'seq', seq, 'body', a.body)
return seq

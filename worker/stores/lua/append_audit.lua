-- Append an audit entry under the next number. The numbers have no gaps, so a removed entry shows.
local a = cjson.decode(ARGV[1])
local seq = redis.call('INCR', key.audit_seq())
redis.call('XADD', key.audit(), '*', 'seq', seq, 'body', a.body)
return seq

-- Shared by scripts that say `-- uses: audit`.
--
-- audit              entries that are not archived yet, by number
-- audit_seq          the number of the newest one: they have no gaps, so that a removed entry shows

local function append_audit(body)
  local seq = redis.call('INCR', key.audit_seq())
  redis.call('XADD', key.audit(), '*', 'seq', seq, 'body', body)
  return seq
end

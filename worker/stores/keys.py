"""Every key of ours in the store: what it is called, of what type, who uses it, and when it ends.

Only a family's owner reads or writes it; everybody else asks the owner. The scripts in `lua/` are
the exception: each is one step of an owner that may touch several families at once. They take the
names from here too, as `key.job(id)` for `JOB(id)`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Type = Literal["string", "hash", "set", "zset", "list", "stream"]

# The modules that own families; a test holds them to it.
STORES = "worker.stores"
JOB_READER = f"{STORES}.jobs.job_reader"
JOB_STORE = f"{STORES}.jobs.job_store"
JOB_LISTING = f"{STORES}.jobs.job_listing"
BATCHES = f"{STORES}.jobs.batches"
JOB_ATTEMPTS = f"{STORES}.jobs.job_attempts"
TASK_LINES = f"{STORES}.jobs.task_lines"
STATISTICS = f"{STORES}.jobs.statistics"
IDEMPOTENCY_STORE = f"{STORES}.jobs.idempotency_store"
JOB_EVENTS_STREAM = "service.jobs.job_events"
IDENTITY_REGISTER = f"{STORES}.identities.identity_register"
WEIGHT_STORE = f"{STORES}.identities.weight_store"
ERASURE_LOG = f"{STORES}.erasure"
MEDIA_STORE = f"{STORES}.media.media_store"
PARTIAL_UPLOADS = f"{STORES}.media.partial_uploads"
STORAGE_USE = f"{STORES}.media.storage_use"
INSTALLATION_MARK = f"{STORES}.media.installation"
UPKEEP = f"{STORES}.upkeep"
TENANT_STORE = f"{STORES}.tenants"
KEY_STORE = f"{STORES}.key_store"
ENDPOINTS = f"{STORES}.endpoints"
OUTBOX = f"{STORES}.outbox"
DELIVERY_LOG = "service.jobs.delivery_log"
BROWSER_TOKENS = "service.browsers.browser_tokens"
AUDIT_LOG = f"{STORES}.audit_log"
BLOCKLIST_ENTRIES = "worker.blocklist.entries"
BLOCKLIST_REVIEWS = "worker.blocklist.reviews"


@dataclass(frozen=True)
class Family:
    """Keys of one form; call it with the ids that stand at `{}` for the name of one key."""

    pattern: str
    type: Type
    owner: str
    ends: str  # what removes a key, for everything stored has an end
    secret: bool = False  # API keys and secrets of webhooks: workers may not read them

    def __call__(self, *ids: str) -> str:
        return self.pattern.format(*ids)

    @property
    def acl(self) -> str:
        """The names of the family as a pattern of the server's access rules."""
        start, placeholder, _ = self.pattern.partition("{}")
        return f"{start}*" if placeholder else start


# Jobs

JOB = Family("lk:job:{}", "hash", JOB_READER, "a while after the job's end, or its deletion")
JOB_EVENTS = Family("lk:job:{}:events", "stream", JOB_EVENTS_STREAM, "when the record is packed")
JOB_TASKS = Family("lk:job:{}:tasks", "set", JOB_STORE, "at the job's end")
JOB_HELD = Family("lk:job:{}:held", "list", JOB_ATTEMPTS, "at the job's end")
JOB_PARTS = Family("lk:job:{}:parts", "hash", JOB_ATTEMPTS, "at the job's end")
JOB_SPENT = Family("lk:job:{}:spent", "hash", JOB_ATTEMPTS, "at the job's end")
TENANT_JOBS = Family("lk:tenant:{}:jobs", "zset", JOB_LISTING, "member: with the job")
TENANT_ACTIVE = Family("lk:tenant:{}:active", "set", JOB_READER, "member: at the job's end")
JOBS_ACTIVE = Family("lk:jobs:active", "zset", JOB_STORE, "member: at the job's end")
INPUT_BYTES = Family("lk:bytes", "hash", JOB_READER, "never; a number for each tenant and for all")
DEADLINES = Family("lk:deadlines", "zset", UPKEEP, "member: at the job's end")
CANCELING = Family("lk:canceling", "zset", UPKEEP, "member: at the job's end")
SETTLED = Family("lk:settled", "zset", UPKEEP, "member: when the record is packed")
DEAD = Family("lk:dead", "zset", UPKEEP, "member: requeued, deleted or expired")
LEFTOVERS = Family("lk:leftovers", "set", UPKEEP, "member: with the next sweep")
LEADER = Family("lk:leader", "string", UPKEEP, "seconds after the leader's last round")
IDEMPOTENCY = Family("lk:idem:{}:{}", "hash", IDEMPOTENCY_STORE, "after a day", secret=True)
STATS = Family("lk:stats", "hash", STATISTICS, "never; a bounded set of counters")
STAGES = Family("lk:stages", "hash", STATISTICS, "never; a bounded set of counters")

BATCH = Family("lk:batch:{}", "hash", BATCHES, "as its jobs' records, or its deletion")
BATCH_JOBS = Family("lk:batch:{}:jobs", "list", BATCHES, "with the batch")
TENANT_BATCHES = Family("lk:tenant:{}:batches", "zset", BATCHES, "member: with the batch")

# Tasks: a job's steps on their way to a worker; `lua/tasks.lua` says what each family is for

TASK = Family("lk:task:{}", "hash", TASK_LINES, "at the job's end")
TASKS_ACTIVE = Family("lk:active", "zset", TASK_LINES, "member: when the task is done")
LINE = Family("lk:line:{}:{}", "zset", TASK_LINES, "member: when the task is delivered or done")
TURN = Family("lk:turn:{}", "zset", TASK_LINES, "member: with the tenant's line")
TURN_CLOCK = Family("lk:turn:{}:clock", "string", TASK_LINES, "never; one for each queue")
TURN_SERVED = Family("lk:turn:{}:served", "hash", TASK_LINES, "never; one field for each tenant")
HOLDING = Family("lk:holding:{}", "zset", TASK_LINES, "member: with the job's last held part")
DELIVERED = Family("lk:delivered:{}", "set", TASK_LINES, "member: when the task has begun")
RUNNING = Family("lk:running:{}", "set", TASK_LINES, "member: when the task ends")
QUEUED = Family("lk:queued:{}", "zset", TASK_LINES, "member: when the task has begun or is done")
OUT = Family("lk:out:{}:{}", "set", TASK_LINES, "member: when the task is done or comes back")

# Identities

IDENTITY = Family("lk:identity:{}", "hash", IDENTITY_REGISTER, "at its erasure")
IDENTITY_PACKS = Family("lk:identity:{}:packs", "set", IDENTITY_REGISTER, "at its erasure")
IDENTITY_JOBS = Family("lk:identity:{}:jobs", "set", IDENTITY_REGISTER, "at its erasure")
TENANT_IDENTITIES = Family("lk:tenant:{}:identities", "zset", IDENTITY_REGISTER, "member: erasure")
ERASED = Family("lk:erased:{}", "hash", IDENTITY_REGISTER, "a year after the erasure")
WEIGHTS = Family("lk:weights:{}", "string", WEIGHT_STORE, "evicted, or at the erasure")
WEIGHTS_LOCK = Family("lk:weights:{}:lock", "string", WEIGHT_STORE, "after half a minute")
WEIGHTS_LRU = Family("lk:weights:lru", "zset", WEIGHT_STORE, "member: with the weights")
WEIGHTS_SIZES = Family("lk:weights:sizes", "hash", WEIGHT_STORE, "field: with the weights")
WEIGHTS_BYTES = Family("lk:weights:bytes", "string", WEIGHT_STORE, "never; one number")
ERASURES = Family("lk:erasures", "stream", ERASURE_LOG, "entry: after 10,000 others")
ERASURE_WANTED = Family("lk:erasure:wanted", "string", ERASURE_LOG, "never; one time")
ERASURE_STARTED = Family("lk:erasure:started", "string", ERASURE_LOG, "never; one time")
ERASURE_REWRITTEN = Family("lk:erasure:rewritten", "string", ERASURE_LOG, "never; one time")

# Uploads and what is stored on disk

UPLOAD = Family("lk:media:{}", "hash", MEDIA_STORE, "with the file, at its expiry")
UPLOAD_HOLDS = Family("lk:media:{}:holds", "set", MEDIA_STORE, "with the upload")
UPLOAD_JOBS = Family("lk:media:{}:jobs", "set", MEDIA_STORE, "with the upload")
TENANT_UPLOADS = Family("lk:tenant:{}:uploads", "zset", MEDIA_STORE, "member: with the upload")
PARTIAL = Family("lk:partial:{}", "hash", PARTIAL_UPLOADS, "when it is whole, or expires")
PARTIAL_PARTS = Family("lk:partial:{}:parts", "list", PARTIAL_UPLOADS, "with the partial upload")
TENANT_PARTIALS = Family("lk:tenant:{}:partials", "set", PARTIAL_UPLOADS, "member: with the upload")
CONTENT = Family("lk:content:{}:{}", "set", MEDIA_STORE, "with the last upload of these bytes")
STORED = Family("lk:stored", "hash", STORAGE_USE, "never; a number for each tenant and for all")
INSTALLATION = Family("lk:installation", "string", INSTALLATION_MARK, "never; one id")
EXPIRY = Family("lk:expiry", "zset", UPKEEP, "member: when it has been deleted")

# Tenants, their API keys and webhooks

TENANTS = Family("lk:tenants", "set", TENANT_STORE, "never; few")
TENANT = Family("lk:tenant:{}", "hash", TENANT_STORE, "never; few")
TENANT_KEYS = Family("lk:tenant:{}:keys", "set", KEY_STORE, "never; few")
API_KEY = Family("lk:key:{}", "hash", KEY_STORE, "never; ended ones stay refused", secret=True)
TENANT_TOKENS = Family("lk:tenant:{}:tokens", "zset", BROWSER_TOKENS, "with the newest token")
TOKEN_ORIGINS = Family("lk:origins", "zset", BROWSER_TOKENS, "member: with the origin's last token")
URL_SECRET = Family("lk:url-secret", "string", KEY_STORE, "never; one", secret=True)
DELIVERIES = Family("lk:deliveries:{}", "list", DELIVERY_LOG, "a week after the last one")
TENANT_ENDPOINTS = Family("lk:tenant:{}:endpoints", "set", ENDPOINTS, "member: with the endpoint")
ENDPOINT = Family("lk:endpoint:{}", "hash", ENDPOINTS, "when its tenant deletes it", secret=True)
MESSAGE = Family("lk:outbox:{}", "hash", OUTBOX, "delivered, given up, or after a while")
MESSAGES_DUE = Family("lk:outbox:due:{}", "zset", OUTBOX, "member: with the message")
MESSAGE_TENANTS = Family("lk:outbox:tenants", "zset", OUTBOX, "member: with its last message")

# The audit trail, until a worker moves it to disk

AUDIT = Family("lk:audit", "stream", AUDIT_LOG, "entry: when it is archived")
AUDIT_SEQ = Family("lk:audit:seq", "string", AUDIT_LOG, "never; one number")

POLICY = Family("lk:policy:{}", "string", AUDIT_LOG, "never; one for the service, one for workers")

# The never-swap list

BLOCKED = Family("lk:blocklist:entry:{}", "hash", BLOCKLIST_ENTRIES, "at its erasure or its end")
BLOCKLIST = Family("lk:blocklist:entries", "zset", BLOCKLIST_ENTRIES, "member: with the entry")
BLOCKLIST_VERSION = Family("lk:blocklist:version", "string", BLOCKLIST_ENTRIES, "never; one number")
REVIEW = Family("lk:blocklist:review:{}", "hash", BLOCKLIST_REVIEWS, "after a month")
REVIEWS = Family("lk:blocklist:reviews", "zset", BLOCKLIST_REVIEWS, "member: after 1,000 others")

ALL_KEYS = "lk:*"
FAMILIES: dict[str, Family] = {
    name: family for name, family in list(globals().items()) if isinstance(family, Family)
}


def lua_names(families: set[str]) -> str:
    """Return Lua that defines `key.<name>` for these families, by their names in lower case."""
    unknown = families - {name.lower() for name in FAMILIES}
    if unknown:
        raise KeyError(f"no such family of keys: {sorted(unknown)}")

    chosen = sorted(name for name in FAMILIES if name.lower() in families)
    functions = (f"{name.lower()} = {_lua_function(FAMILIES[name].pattern)}" for name in chosen)
    return f"local key = {{{', '.join(functions)}}}\n"


def _lua_function(pattern: str) -> str:
    start, *rest = pattern.split("{}")
    arguments = [f"id{place}" for place in range(len(rest))]
    tail = "".join(
        f" .. {argument}" + (f" .. '{text}'" if text else "")
        for argument, text in zip(arguments, rest, strict=True)
    )
    return f"function({', '.join(arguments)}) return '{start}'{tail} end"

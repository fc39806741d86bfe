"""What RQ is handed of a task: its name and its attempt, in a record as RQ writes it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime

from worker.contract.jobs import Task
from worker.contract.requests import QueueName
from worker.stores.jobs.job_limits import JobLimits
from worker.stores.scripts import Call

ENTRY_POINT = "worker.jobs.run_task"  # a name on the wire: nothing is imported by it
QUEUES: tuple[QueueName, ...] = ("image", "video", "refine")
# The inverse of `rq_id`, strict: RQ's queue may hold whatever somebody with the store's password
# put there.
TASK_ATTEMPT = re.compile(r"(?P<task>job_[0-9a-z]{26}(-[0-9a-z]+)?)-(?P<attempt>[0-9]+)")
# How much longer than an attempt RQ's own record of it stays; that of a job that was done goes at
# once.
RQ_TTL_S = 300
# How long one attempt may take. A part of a video has five seconds; an analysis reads a
# whole one.
ATTEMPT_TIMEOUT_S: Mapping[QueueName, int] = {"image": 120, "video": 3600, "refine": 900}


def delivery(queue: QueueName, limits: JobLimits, now_s: float) -> Call:
    """Return the script that hands RQ what it may hold now, with its arguments."""
    return "deliver", {
        "queue": queue,
        "window": limits.window,
        "tenant_running": limits.tenant_running,
        "now_ms": int(now_s * 1000),
        "rq": {
            "now": datetime.fromtimestamp(now_s, UTC).isoformat().replace("+00:00", "Z"),
            "timeout_s": ATTEMPT_TIMEOUT_S[queue],
            "ttl_s": RQ_TTL_S,
            # Function, instance, arguments, named ones; filled in by the script.
            "call": json.dumps([ENTRY_POINT, None, ["%s", "%d"], {}]).replace('"%d"', "%d"),
        },
    }


def rq_id(task: Task) -> str:
    """Return the id under which RQ knows one attempt of a task; `lua/deliver.lua` makes it too."""
    return f"{task.id}-{task.attempt}"


def task_of(name: str) -> Task | None:
    """Return the task behind an RQ id, the inverse of `rq_id`.

    None for what somebody else put into the queue.
    """
    match = TASK_ATTEMPT.fullmatch(name)
    return Task(match["task"], int(match["attempt"])) if match else None

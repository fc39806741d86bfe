"""Use cases for tests of the machinery: real file work, small, and as ill-behaved as a job's
metadata asks.

Started by a real worker with `--use-cases tests.worker.small_use_cases`.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import logging
import os
import time
from collections.abc import Mapping

from worker.contract.requests import JobKind, QueueName
from worker.errors import JobFailure
from worker.failures import FailureCode
from worker.job_context import JobContext, Outcome, UseCase
from worker.settings import WorkerSettings

log = logging.getLogger(__name__)

PARTS = 6


class SmallUseCases:
    """Copies its input with its digest in front; counts its loads like an engine counts models."""

    pack = "small@000000000000"

    def __init__(self) -> None:
        self._forgotten = 0

    def find(self, kind: JobKind) -> UseCase:
        return self._video if kind == "swap_video" else self._image

    def counters(self) -> Mapping[str, int]:
        return {"models_loaded": 1}

    def forget(self, identity_id: str) -> None:
        self._forgotten += 1

    def _image(self, context: JobContext) -> Outcome:
        wishes = context.job.metadata
        self._misbehave(wishes)
        steps = int(wishes.get("steps", 1))

        for step in range(steps):
            time.sleep(float(wishes.get("sleep_s", 0.0)) / steps)
            if not wishes.get("deaf"):
                context.progress(step + 1, steps)

        body = context.input.read_bytes()
        output = context.work / "output"
        output.write_bytes(
            hashlib.sha256(body).hexdigest().encode() + body * int(wishes.get("times", 1))
        )

        return Outcome(
            output, "text/plain", ".txt", report={"pid": os.getpid(), "forgotten": self._forgotten}
        )

    def _video(self, context: JobContext) -> Outcome | None:
        if context.task.step is None:
            parts = int(context.job.metadata.get("parts", PARTS))
            context.fan_out(
                [f"s{index:03d}" for index in range(parts)],
                json.dumps({"parts": parts}),
                total=parts * 10,
            )
            return None

        if context.task.step == "mux":
            return self._mux(context)

        # Who computed what, for the test to read.
        log.info("part begun", extra={"step": context.task.step, "attempt": context.task.attempt})
        for frame in range(10):
            time.sleep(float(context.job.metadata.get("sleep_s", 0.0)) / 10)
            context.progress(frame + 1, None)

        part = context.work / "part"
        part.write_bytes(context.task.step.encode() * 1000 + context.input.read_bytes())
        context.finish_part(context.publish_part(part, ".part"))

        return None

    def _mux(self, context: JobContext) -> Outcome:
        _, parts = context.plan()
        output = context.work / "video"

        with output.open("wb") as file:
            for _, sha256 in sorted(parts.items()):
                file.write(context.part(sha256, ".part").read_bytes())

        return Outcome(output, "application/octet-stream", ".bin")

    def _misbehave(self, wishes: Mapping[str, object]) -> None:
        match wishes.get("poison"):
            case "crash":
                ctypes.string_at(0)
            case "exit":
                os._exit(0)
            case "raise":
                raise ValueError("a bug")
            case "refuse":
                raise JobFailure(FailureCode.NO_FACE, "There is no face in the image.")


def load(queue: QueueName, settings: WorkerSettings) -> SmallUseCases:
    """Return what the warm child asks for."""
    return SmallUseCases()

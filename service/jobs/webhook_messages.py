"""Webhook messages: what is said about a job or a batch that has ended, and its signature."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from standardwebhooks import Webhook

from service.jobs.batches import BatchViews
from service.jobs.job_views import JobViews
from worker.errors import UnknownBatch, UnknownJob
from worker.stores.ids import is_id
from worker.stores.jobs.job_store import JobStore


@dataclass(frozen=True)
class EndMessage:
    """A message, and the address that its request named; None where it named none."""

    body: dict[str, Any]
    webhook: str | None


@dataclass(frozen=True)
class EndMessages:
    """Makes the messages about what has ended, as it is at the time of sending."""

    jobs: JobStore
    views: JobViews
    batches: BatchViews

    def of(self, subject_id: str, now: float) -> EndMessage | None:
        """Return the message about a job or a batch; None when its owner has deleted it."""
        try:
            # The outbox knows both by their ids, which say what they are.
            if is_id(subject_id, "bat"):
                return self._of_batch(subject_id, now)
            return self._of_job(subject_id, now)
        # Deleted since it ended: its owner does not want to hear of it, and there is nothing left
        # to describe.
        except (UnknownJob, UnknownBatch):
            return None

    def _of_job(self, job_id: str, now: float) -> EndMessage:
        job = self.jobs.get(job_id)
        # Read when it is sent, not when the job ended: a message that was delayed for a day tells
        # how things are now.
        data = self.views.of(job).model_dump(mode="json")
        return EndMessage(_body(f"job.{job.status}", job.finished_at or now, data), job.webhook)

    def _of_batch(self, batch_id: str, now: float) -> EndMessage:
        batch = self.batches.store.get(batch_id)
        data = self.batches.of(batch).model_dump(mode="json")
        return EndMessage(_body("batch.finished", batch.finished_at or now, data), batch.webhook)


def _body(kind: str, at_s: float, data: dict[str, Any]) -> dict[str, Any]:
    return {"type": kind, "timestamp": datetime.fromtimestamp(at_s, UTC).isoformat(), "data": data}


def signed_headers(
    secrets: Iterable[str], message_id: str, timestamp: int, body: bytes
) -> dict[str, str]:
    """Return the headers of one delivery.

    During a rotation it carries a signature for each secret.
    """
    # What receivers hold against replays; it must be that of this delivery.
    sent_at = datetime.fromtimestamp(timestamp, UTC)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        # Standard Webhooks: several signatures in one header, of which a receiver needs one that
        # fits.
        "webhook-signature": " ".join(
            Webhook(secret).sign(message_id, sent_at, body.decode()) for secret in secrets
        ),
        "content-type": "application/json",
    }

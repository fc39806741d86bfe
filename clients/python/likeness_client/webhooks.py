"""Webhooks: verified by Standard Webhooks' own library before anything in them is believed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from standardwebhooks import Webhook

from likeness_client.models import Job, job_of


@dataclass(frozen=True)
class WebhookEvent:
    """What happened to which job, such as `job.succeeded`; `timestamp` is RFC 3339."""

    type: str
    timestamp: str
    job: Job


def unwrap_webhook(body: bytes | str, headers: Mapping[str, str], secret: str) -> WebhookEvent:
    """Return the event of a message that this `secret` (`whsec_...`) has signed.

    Raises standardwebhooks.WebhookVerificationError for any other, also for one that is older than
    five minutes.
    """
    lowered = {name.lower(): value for name, value in headers.items()}
    event: dict[str, Any] = Webhook(secret).verify(body, lowered)
    return WebhookEvent(event["type"], event["timestamp"], job_of(event["data"]))

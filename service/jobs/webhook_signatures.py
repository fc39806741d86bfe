"""Signatures of webhook messages, by Standard Webhooks 1.0."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from standardwebhooks import Webhook


def signed_headers(
    secrets: Iterable[str], message_id: str, timestamp: int, body: bytes
) -> dict[str, str]:
    """Return the headers of one delivery.

    During a rotation it carries a signature for each secret.
    """
    sent_at = datetime.fromtimestamp(timestamp, UTC)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(
            Webhook(secret).sign(message_id, sent_at, body.decode()) for secret in secrets
        ),
        "content-type": "application/json",
    }

"""Client of the Likeness face-swap service: `Client`, and `AsyncClient` with the same methods."""

from likeness_client.async_client import AsyncClient
from likeness_client.client import Client
from likeness_client.errors import ConnectionFailed, JobFailed, LikenessError
from likeness_client.models import (
    Batch,
    BatchItem,
    Consent,
    Identity,
    Job,
    Page,
    Progress,
    Result,
    Upload,
)
from likeness_client.webhooks import WebhookEvent, unwrap_webhook

__all__ = [
    "AsyncClient",
    "Batch",
    "BatchItem",
    "Client",
    "ConnectionFailed",
    "Consent",
    "Identity",
    "Job",
    "JobFailed",
    "LikenessError",
    "Page",
    "Progress",
    "Result",
    "Upload",
    "WebhookEvent",
    "unwrap_webhook",
]

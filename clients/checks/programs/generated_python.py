"""Registers, uploads, swaps and fetches with the client that openapi-python-client generates.

Its environment: URL, KEY, SAMPLES; WEBHOOK and RECEIVED name the receiver and its folder.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from generated.api.identities import create_identity
from generated.api.jobs import get_job, get_job_result
from generated.api.swaps import swap_image
from generated.api.uploads import create_upload
from generated.api.webhooks import create_webhook_endpoint
from generated.client import AuthenticatedClient
from generated.models import (
    CreateIdentityFilesBody,
    Identity,
    Job,
    JobEvent,
    SwapInputByUploadId,
    SwapRequestByIdentityId,
    Upload,
    WebhookEndpoint,
    WebhookEndpointRequest,
)
from generated.types import File
from standardwebhooks import Webhook

SAMPLES = Path(os.environ["SAMPLES"])
RECEIVED = Path(os.environ["RECEIVED"])
CONSENT = {
    "subject": "ada",
    "basis": "consent",
    "scope": ["image", "video"],
    "granted_at": "2026-01-01T00:00:00Z",
}


def main() -> None:
    with AuthenticatedClient(base_url=os.environ["URL"], token=os.environ["KEY"]) as client:
        request = WebhookEndpointRequest(url=os.environ["WEBHOOK"])
        endpoint = create_webhook_endpoint.sync(client=client, body=request)
        assert isinstance(endpoint, WebhookEndpoint)

        with (SAMPLES / "ada_neutral.jpg").open("rb") as photo:
            form = CreateIdentityFilesBody(
                image=[File(photo, "ada.jpg", "image/jpeg")], consent=json.dumps(CONSENT)
            )
            identity = create_identity.sync(client=client, body=form)
        assert isinstance(identity, Identity), identity

        with (SAMPLES / "ben_neutral.jpg").open("rb") as target:
            upload = create_upload.sync(client=client, body=File(target))
        assert isinstance(upload, Upload), upload

        wanted = SwapRequestByIdentityId(
            input_=SwapInputByUploadId(upload_id=upload.id), identity_id=identity.id
        )
        job = swap_image.sync(client=client, body=wanted, prefer="wait=30")
        assert isinstance(job, Job), job

        deadline = time.monotonic() + 60
        while job.result is None and time.monotonic() < deadline:
            time.sleep(0.5)
            job = get_job.sync(job.id, client=client)
            assert isinstance(job, Job), job
        assert job.result, job.error

        result = get_job_result.sync(job.id, client=client)
        assert isinstance(result, File), result
        assert len(result.payload.read()) == job.result.bytes_

        message = received(job.id)
        event = JobEvent.from_dict(
            Webhook(endpoint.secret or "").verify(message["body"], message["headers"])
        )
        assert event.data.id == job.id
        print("openapi-python-client: registered, uploaded, swapped, fetched, verified")


def received(job_id: str) -> dict[str, str]:
    """Return the message about a job, once it has come."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        for file in RECEIVED.glob("*.json"):
            message = json.loads(file.read_text())
            if json.loads(message["body"])["data"]["id"] == job_id:
                return message
        time.sleep(0.5)

    raise SystemExit("no webhook came")


main()

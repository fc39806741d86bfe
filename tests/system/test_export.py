"""An identity exported for a device: gated by consent, marked, and the same face as here."""

from __future__ import annotations

import hashlib
import io
import json
import time
import zipfile
from datetime import UTC, datetime, timedelta

import cv2
import numpy as np

from tests.material import CONSENT, SAMPLES
from tests.system.running_service import RunningService


def registered(service: RunningService, **consent: object) -> str:
    answer = service.client.post(
        "/v1/identities",
        files={"image": (SAMPLES / "ada_neutral.jpg").read_bytes()},
        data={"consent": json.dumps({**CONSENT, **consent})},
    )
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def is_in_the_audit_trail(service: RunningService, job: str) -> bool:
    """Whether the export is told of; entries appear about a second after the event."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        trail = service.client.get("/v1/audit", params={"event": "identity.exported"})
        if job in trail.text:
            return True
        time.sleep(0.5)

    return False


def test_an_export_needs_the_scope_export(service: RunningService, ada: str) -> None:
    refused = service.client.post(f"/v1/identities/{ada}/exports", json={})
    assert refused.status_code == 403
    assert refused.json()["code"] == "consent_scope"


def test_an_export_is_one_signed_file_that_ends_with_the_consent(service: RunningService) -> None:
    ends = datetime.now(UTC) + timedelta(days=2)
    identity = registered(
        service, scope=["image", "export"], expires_at=ends.isoformat(timespec="seconds")
    )
    job = service.client.post(
        f"/v1/identities/{identity}/exports",
        json={"form": "litert", "expires_in_s": 30 * 86_400},
        headers={"Prefer": "wait=30"},
    ).json()
    assert job["status"] == "succeeded", job

    result = service.client.get(job["urls"]["result"])
    assert result.headers["content-type"] == "application/zip"
    archive = zipfile.ZipFile(io.BytesIO(result.content))
    manifest = json.loads(archive.read("manifest.json"))

    assert manifest["format"] == "likeness-device-1"
    assert datetime.fromisoformat(manifest["expires_at"]) <= ends
    assert manifest["mark"]
    assert len(manifest["consent_receipts"]) == 1
    assert "ada" not in json.dumps(manifest)
    assert len(archive.read("manifest.sig")) == 64

    for name, member in manifest["members"].items():
        data = archive.read(name)
        assert (len(data), hashlib.sha256(data).hexdigest()) == (member["bytes"], member["sha256"])

    texture = cv2.imdecode(np.frombuffer(archive.read("texture.png"), np.uint8), cv2.IMREAD_COLOR)
    assert texture.shape == (224, 224, 3)
    assert manifest["members"][manifest["network"]]["bytes"] <= 1_200_000

    assert is_in_the_audit_trail(service, job["id"])

    gone = service.client.delete(f"/v1/identities/{identity}/consent")
    assert gone.status_code == 200
    assert service.client.get(job["urls"]["result"]).status_code in (404, 410)

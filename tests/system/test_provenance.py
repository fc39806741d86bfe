"""Results of the whole stack are marked, signed, recorded, and recognised again."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import Any

import httpx

from tests.material import SAMPLES
from tests.system.running_service import RunningService

CONSENT_SUBJECT = b'"subject"'


def swapped(
    service: RunningService, identity: str, kind: str, name: str
) -> tuple[dict[str, Any], bytes]:
    """Return a finished job and its result."""
    job = service.client.post(
        f"/v1/swaps/{kind}",
        files={kind: (SAMPLES / name).read_bytes()},
        data={"identity_id": identity},
        headers={"Prefer": "wait=50"},
    ).json()

    deadline = time.monotonic() + 200
    while job["status"] not in ("succeeded", "failed"):
        assert time.monotonic() < deadline
        time.sleep(0.5)
        job = service.client.get(job["urls"]["self"]).json()

    assert job["status"] == "succeeded", job["error"]
    return job, service.client.get(job["urls"]["result"]).content


def verified(service: RunningService, data: bytes) -> dict[str, Any]:
    with httpx.Client(base_url=service.url, timeout=60.0, trust_env=False) as anybody:
        answer = anybody.post("/v1/verify", content=data)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def test_an_image_carries_its_credentials_and_its_receipt(
    service: RunningService, ada: str
) -> None:
    job, data = swapped(service, ada, "image", "ben_neutral.jpg")
    provenance = job["report"]["provenance"]
    assert (provenance["c2pa"], provenance["mark"]) == ("embedded", "lk1")

    seen = verified(service, data)
    assert seen["verdict"] == "made_here"
    assert seen["c2pa"]["state"] == "trusted"
    assert seen["record"]["exact"]

    manifest = service.client.get(job["urls"]["manifest"])
    assert manifest.status_code == 200
    receipts = [
        item["details"]["consent_receipt"]
        for item in service.client.get("/v1/audit?event=identity.registered").json()["items"]
    ]
    assert any(receipt.encode() in manifest.content for receipt in receipts)
    assert CONSENT_SUBJECT not in manifest.content


def test_a_video_is_recognised_after_it_was_cut_and_encoded_again(
    service: RunningService, ada: str, tmp_path: Path
) -> None:
    job, data = swapped(service, ada, "video", "solo_720p30.mp4")
    delivered = tmp_path / "delivered.mp4"
    cut = tmp_path / "cut.mp4"
    delivered.write_bytes(data)
    command = ["ffmpeg", "-v", "error", "-ss", "1", "-i", str(delivered), "-t", "3", "-an"]
    subprocess.run([*command, "-crf", "28", str(cut)], check=True, timeout=120)

    assert verified(service, data)["c2pa"]["state"] == "trusted"
    seen = verified(service, cut.read_bytes())
    assert seen["verdict"] == "made_here"
    assert seen["mark"] == {"found": True, "ours": True}

    events = service.client.get(f"/v1/audit?subject={job['id']}").json()["items"]
    assert [item["event"] for item in events] == ["output.marked"]

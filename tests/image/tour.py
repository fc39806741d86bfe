"""Runs in a container beside the service: registers a face and swaps it into an image and a video.

Prints one JSON object: seconds of each step, and what the results are.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from pathlib import Path

import httpx

SAMPLES = Path("/samples")
JOB_TIMEOUT_S = 240.0
CONSENT = {
    "subject": "ada, a composite who is no one",
    "basis": "consent",
    "scope": ["image", "video"],
    "granted_at": "2026-01-01T00:00:00Z",
}


def main() -> None:
    """Do the tour; an answer that is no success ends it with the service's own words."""
    key = {"Authorization": f"Bearer {os.environ['KEY']}"}
    seconds: dict[str, float] = {}
    results: dict[str, str] = {}

    with httpx.Client(base_url=os.environ["API"], headers=key, timeout=60.0) as client:
        began = time.monotonic()
        photo = (SAMPLES / "ada_neutral.jpg").read_bytes()
        identity = _checked(
            client.post(
                "/v1/identities",
                files={"image": ("ada.jpg", photo, "image/jpeg")},
                data={"consent": json.dumps(CONSENT)},
            )
        ).json()["id"]

        seconds["registration"] = time.monotonic() - began

        for kind, sample, media_type in (
            ("image", "ben_neutral.jpg", "image/jpeg"),
            ("video", "solo_720p30.mp4", "video/mp4"),
        ):
            began = time.monotonic()
            target = (SAMPLES / sample).read_bytes()
            result = _swap(client, kind, identity, target, media_type)
            seconds[kind] = time.monotonic() - began

            if result == target:
                sys.exit(f"the {kind} came back unchanged")

            results[kind] = f"{len(result)} bytes {hashlib.sha256(result).hexdigest()[:12]}"

    print(json.dumps({"seconds": seconds, "results": results}))


def _swap(client: httpx.Client, kind: str, identity: str, target: bytes, media_type: str) -> bytes:
    upload = _checked(
        client.post("/v1/uploads", content=target, headers={"Content-Type": media_type})
    ).json()["id"]
    body = {"input": {"upload_id": upload}, "identity_id": identity}
    job = _checked(client.post(f"/v1/swaps/{kind}", json=body)).json()
    deadline = time.monotonic() + JOB_TIMEOUT_S

    while job["status"] not in ("succeeded", "failed", "canceled", "expired"):
        if time.monotonic() > deadline:
            sys.exit(f"the {kind} job was not done after {JOB_TIMEOUT_S:.0f} s")

        time.sleep(0.2)
        job = _checked(client.get(f"/v1/jobs/{job['id']}")).json()

    if job["status"] != "succeeded":
        sys.exit(f"the {kind} job is {job['status']}: {job['error']}")

    return _checked(client.get(f"/v1/jobs/{job['id']}/result")).content


def _checked(answer: httpx.Response) -> httpx.Response:
    if not answer.is_success:
        sys.exit(f"{answer.request.url.path} answered {answer.status_code}: {answer.text}")
    return answer


if __name__ == "__main__":
    main()

"""Previews, estimates and swaps in one call, on a whole stack."""

from __future__ import annotations

import io
import json
import time
from typing import Any

import httpx
import pytest
from PIL import Image

from tests.material import CONSENT, SAMPLES
from tests.system.running_service import RunningService

BEN = SAMPLES / "ben_neutral.jpg"
SOLO = SAMPLES / "solo_720p30.mp4"
DUET = SAMPLES / "duet_720p2997.mp4"
NOW = {"Prefer": "wait=60"}


def _asked(upload_id: str, identity_id: str, **more: object) -> dict[str, Any]:
    return {"input": {"upload_id": upload_id}, "identity_id": identity_id, **more}


def test_a_video_is_previewed_by_three_frames_in_one_image(
    service: RunningService, ada: str
) -> None:
    upload = service.upload(SOLO.read_bytes(), "video/mp4").json()["id"]
    job = service.client.post("/v1/previews", json=_asked(upload, ada), headers=NOW).json()

    assert (job["status"], job["kind"]) == ("succeeded", "preview"), job
    assert len({frame["time_s"] for frame in job["report"]["shown"]}) == 3
    assert job["report"]["faces"][0]["frames_swapped"] == 3
    assert job["report"]["provenance"]["mark"] == "lk1"

    image = Image.open(io.BytesIO(service.client.get(job["urls"]["result"]).content))
    assert image.format == "JPEG"
    assert image.size == (job["result"]["width"], job["result"]["height"])
    assert image.size == (3 * 640, 360)


def test_an_image_is_answered_where_one_is_accepted(service: RunningService, ada: str) -> None:
    upload = service.upload(BEN.read_bytes(), "image/jpeg").json()["id"]
    answer = service.client.post(
        "/v1/previews", json=_asked(upload, ada), headers={"Accept": "image/*"}
    )
    assert answer.headers["content-type"] == "image/jpeg", answer.text
    assert Image.open(io.BytesIO(answer.content)).size == (640, 640)
    job = service.client.get(answer.headers["location"]).json()
    assert job["id"] == answer.headers["x-job-id"]

    nobody = _asked(upload, ada, options={"faces": {"person_id": "p9"}})
    refused = service.client.post(
        "/v1/swaps/image", json=nobody, headers={"Accept": "image/avif,image/webp"}
    )
    assert refused.status_code == 422
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.json()["code"] == "face_not_found"


def test_people_of_an_analysis_are_the_people_of_a_preview(
    service: RunningService, ada: str
) -> None:
    upload = service.upload(DUET.read_bytes(), "video/mp4").json()["id"]
    chosen = [{"face": {"person_id": "p2"}, "identity_id": ada}]
    asked = {"input": {"upload_id": upload}, "assignments": chosen}
    job = service.client.post("/v1/previews", json=asked, headers=NOW).json()

    by_name = {row["person_id"]: row["frames_swapped"] for row in job["report"]["faces"]}
    assert by_name["p2"] > 0
    assert by_name["p1"] == 0


def test_an_estimate_says_what_a_swap_takes(service: RunningService, ada: str) -> None:
    upload = service.upload(SOLO.read_bytes(), "video/mp4").json()
    job = service.client.post("/v1/estimates", json=_asked(upload["id"], ada), headers=NOW).json()
    estimate = job["report"]["estimate"]

    assert service.client.get(job["urls"]["result"]).json() == estimate
    assert estimate["frames"] == upload["frames"]
    assert (estimate["people"], estimate["refusals"]) == (1, [])
    assert estimate["seconds"] > 0
    assert estimate["cost_units"] == estimate["frames"]


def test_a_preview_needs_consent_for_what_it_previews(service: RunningService) -> None:
    consent = {**CONSENT, "scope": ["image"]}
    identity = service.register(SAMPLES / "ada_neutral.jpg", consent=consent).json()["id"]
    upload = service.upload(SOLO.read_bytes(), "video/mp4").json()["id"]

    for call in ("previews", "estimates"):
        refused = service.client.post(f"/v1/{call}", json=_asked(upload, identity))
        assert (refused.status_code, refused.json()["code"]) == (403, "consent_scope")


def _in_one_call(service: RunningService, **fields: str) -> httpx.Response:
    files = [
        ("source", ("ada.jpg", (SAMPLES / "ada_neutral.jpg").read_bytes(), "image/jpeg")),
        ("source", ("ada.jpg", (SAMPLES / "ada_smile.jpg").read_bytes(), "image/jpeg")),
        ("target", ("ben.jpg", BEN.read_bytes(), "image/jpeg")),
    ]
    headers = {"Accept": "image/*", "Idempotency-Key": fields.pop("key", "one-call")}
    return service.client.post("/v1/swaps/image", files=files, data=fields, headers=headers)


def is_erased(service: RunningService, identity: str) -> bool:
    """Whether an identity goes within half a minute."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        answer = service.client.get(f"/v1/identities/{identity}")
        if answer.json().get("code") == "identity_erased":
            return True
        time.sleep(0.5)

    return False


@pytest.mark.parametrize("is_portrait", [True, False])
def test_an_identity_of_one_call_goes_also_when_nobody_waits_and_the_job_fails(
    service: RunningService, is_portrait: bool
) -> None:
    blank = io.BytesIO()
    Image.new("RGB", (400, 400), "grey").save(blank, "JPEG")
    data = BEN.read_bytes() if is_portrait else blank.getvalue()
    answer = service.client.post(
        "/v1/swaps/image",
        files={
            "source": ("ada.jpg", (SAMPLES / "ada_neutral.jpg").read_bytes(), "image/jpeg"),
            "target": ("target.jpg", data, "image/jpeg"),
        },
        data={"consent": json.dumps(CONSENT)},
    )
    assert answer.status_code == 202, answer.text
    assert is_erased(service, answer.json()["assignments"][0]["identity_id"])


def test_a_swap_in_one_call_leaves_no_identity(service: RunningService) -> None:
    before = service.client.get("/v1/identities").json()["data"]
    answer = _in_one_call(service, consent=json.dumps(CONSENT))
    assert answer.headers["content-type"] == "image/jpeg", answer.text

    job = service.client.get(answer.headers["location"]).json()
    identity = job["assignments"][0]["identity_id"]
    assert is_erased(service, identity)
    assert service.client.get("/v1/identities").json()["data"] == before

    again = _in_one_call(service, consent=json.dumps(CONSENT))
    assert again.headers["x-job-id"] == job["id"]
    assert again.headers["idempotency-replayed"] == "true"


def test_a_swap_in_one_call_can_keep_its_identity(service: RunningService) -> None:
    answer = _in_one_call(
        service, consent=json.dumps(CONSENT), keep_identity="true", name="kept", key="kept"
    )
    job = service.client.get(answer.headers["location"]).json()
    identity = service.client.get(f"/v1/identities/{job['assignments'][0]['identity_id']}").json()
    assert (identity["name"], identity["expires_at"]) == ("kept", None)
    assert service.client.delete(f"/v1/identities/{identity['id']}").status_code == 200


def test_a_swap_in_one_call_needs_consent(service: RunningService) -> None:
    refused = _in_one_call(service, key="without")
    assert (refused.status_code, refused.json()["code"]) == (422, "consent_missing")


def test_presets_fill_in_what_is_not_given(service: RunningService, ada: str) -> None:
    upload = service.upload(SOLO.read_bytes(), "video/mp4").json()["id"]
    options = {"preset": "fast", "output": {"max_side": 320}}
    job = service.swap("video", upload, ada, options=options).json()
    done = service.finished(job["id"])
    assert max(done["result"]["width"], done["result"]["height"]) == 320

"""Jobs over HTTP: submit, wait, follow, cancel, list, forget."""

from __future__ import annotations

import httpx
import pytest

from tests.material import CONSENT
from tests.service import files
from tests.service.live_service import JPEG, LiveService, problem_of
from worker.contract.jobs import Problem
from worker.failures import FailureCode


def test_a_swap_is_accepted_with_its_place(
    live: LiveService, client: httpx.Client, tenant: str
) -> None:
    body = {
        "input": {"upload_id": live.upload(tenant)},
        "identity_id": live.identity(tenant),
        "metadata": {"n": 1},
    }

    answer = client.post("/v1/swaps/image", json=body)
    job = answer.json()
    assert answer.status_code == 202
    assert answer.headers["location"] == job["urls"]["self"] == f"/v1/jobs/{job['id']}"
    assert int(answer.headers["retry-after"]) >= 1
    assert job["status"] == "queued"
    assert job["queue_position"] is not None
    assert job["metadata"] == {"n": 1}
    assert job["assignments"] == [{"face": "largest", "identity_id": body["identity_id"]}]


def test_a_swap_takes_its_image_in_the_form(
    live: LiveService, client: httpx.Client, tenant: str
) -> None:
    fields = {
        "identity_id": live.identity(tenant),
        "options": '{"blend": 0.5, "faces": {"index": 1}}',
    }
    answer = client.post(
        "/v1/swaps/image", files={"image": ("ben.jpg", JPEG, "image/jpeg")}, data=fields
    )
    assert answer.status_code == 202, answer.text
    assert answer.json()["assignments"][0]["face"] == {"index": 1}
    stored = live.jobs.get(answer.json()["id"])
    assert stored.payload.options.blend == 0.5
    assert live.media.stat(answer.json()["input"]["upload_id"], tenant).bytes == len(JPEG)


@pytest.mark.parametrize(
    ("kind", "file_format"), [("image", "mp4"), ("image", "webm"), ("video", "png")]
)
def test_a_result_of_the_other_kind_is_refused_before_the_job(
    live: LiveService, client: httpx.Client, tenant: str, kind: str, file_format: str
) -> None:
    body = {"input": {"upload_id": live.upload(tenant)}, "identity_id": live.identity(tenant)}
    answer = client.post(
        f"/v1/swaps/{kind}", json=body | {"options": {"output": {"format": file_format}}}
    )
    problem_of(answer, 422, "invalid_request")
    assert not live.jobs.list(tenant).jobs


def test_cancel_ends_a_queued_job_at_once_and_is_harmless_after(
    live: LiveService, client: httpx.Client, tenant: str
) -> None:
    job = live.job(client, tenant)
    answer = client.post(job["urls"]["cancel"])
    assert (answer.status_code, answer.json()["status"]) == (202, "canceled")
    again = client.post(job["urls"]["cancel"])
    assert (again.status_code, again.json()["status"]) == (200, "canceled")
    problem_of(client.get(job["urls"]["result"]), 409, "no_result")


def test_a_running_job_is_canceling_until_its_worker_lets_go(
    live: LiveService, client: httpx.Client, tenant: str
) -> None:
    job = live.job(client, tenant)
    live.begin(job["id"])
    assert client.post(job["urls"]["cancel"]).json()["status"] == "canceling"


def test_cancel_after_sets_the_deadline(
    live: LiveService, client: httpx.Client, tenant: str
) -> None:
    body = {"input": {"upload_id": live.upload(tenant)}, "identity_id": live.identity(tenant)}
    answer = client.post("/v1/swaps/image", json=body, headers={"Cancel-After": "90s"})
    stored = live.jobs.get(answer.json()["id"])
    assert stored.deadline_at - stored.created_at == pytest.approx(90, abs=1)
    problem_of(
        client.post("/v1/swaps/image", json=body, headers={"Cancel-After": "soon"}),
        400,
        "invalid_parameter",
    )


@pytest.mark.parametrize(
    ("consent", "status", "code"),
    [
        ({**CONSENT, "scope": ["video"]}, 403, "consent_scope"),
        ({**CONSENT, "expires_at": "2026-02-01T00:00:00Z"}, 403, "consent_expired"),
        (None, 422, "consent_missing"),
    ],
)
def test_consent_is_looked_at_for_every_job(
    live: LiveService,
    client: httpx.Client,
    tenant: str,
    consent: dict[str, object] | None,
    status: int,
    code: str,
) -> None:
    body = {
        "input": {"upload_id": live.upload(tenant)},
        "identity_id": live.identity(tenant, consent),
    }
    problem_of(client.post("/v1/swaps/image", json=body), status, code)


def test_an_image_is_not_a_video(live: LiveService, client: httpx.Client, tenant: str) -> None:
    body = {"input": {"upload_id": live.upload(tenant)}, "identity_id": live.identity(tenant)}
    problem_of(client.post("/v1/swaps/video", json=body), 415, "unsupported_media_type")


@pytest.mark.parametrize(
    ("file_format", "media_type"),
    [("GIF", "image/gif"), ("WEBP", "image/webp"), ("PNG", "image/png"), ("AVIF", "image/avif")],
)
def test_an_animation_does_not_lose_its_frames_on_the_image_route(
    live: LiveService, client: httpx.Client, tenant: str, file_format: str, media_type: str
) -> None:
    animated = files.saved(file_format, frames=4)
    fields = {"identity_id": live.identity(tenant)}
    answer = client.post(
        "/v1/swaps/image", files={"image": ("wave", animated, media_type)}, data=fields
    )
    problem = problem_of(answer, 415, "unsupported_media_type")
    assert "4 frames" in problem["detail"]
    assert "/v1/swaps/video" in problem["detail"]


def test_a_refused_swap_leaves_no_upload_behind(
    live: LiveService, client: httpx.Client, tenant: str
) -> None:
    before = {path for path in live.settings.media_dir.rglob("*") if path.is_file()}
    fields = {"identity_id": "idn_00000000000000000000000000"}
    answer = client.post(
        "/v1/swaps/image", files={"image": ("ben.jpg", JPEG, "image/jpeg")}, data=fields
    )
    problem_of(answer, 404, "not_found")
    assert {path for path in live.settings.media_dir.rglob("*") if path.is_file()} == before


def test_a_dead_letter_can_be_done_again(
    live: LiveService, client: httpx.Client, tenant: str
) -> None:
    job = live.job(client, tenant)
    problem_of(client.post(f"{job['urls']['self']}/requeue"), 404, "not_found")
    problem = Problem(FailureCode.ATTEMPTS_EXHAUSTED, "The job was tried 3 times and never ended.")
    live.attempts.fail(live.begin(job["id"]), problem, dead=True)
    answer = client.post(f"{job['urls']['self']}/requeue")
    assert (answer.status_code, answer.json()["status"]) == (202, "queued")
    assert answer.json()["id"] != job["id"]
    assert client.get(job["urls"]["self"]).json()["error"]["code"] == "attempts_exhausted"
    problem_of(client.post(f"{job['urls']['self']}/requeue"), 404, "not_found")


@pytest.mark.parametrize(
    ("added", "status", "code"),
    [
        ('"metadata": {"n": 1e999}', 422, "invalid_request"),
        ('"options": {"faces": {"box": [1e999, 0, 1, 1]}}', 422, "invalid_request"),
        ('"options": {"blend": NaN}', 400, "invalid_json"),
        ('"metadata": {"half": "\\ud800"}', 400, "invalid_json"),
        ('"\\ud800": 1', 400, "invalid_json"),
        ('"metadata": ' + '{"a":' * 5000 + "1" + "}" * 5000, 400, "invalid_json"),
    ],
)
def test_what_json_cannot_carry_back_is_refused(
    live: LiveService, client: httpx.Client, tenant: str, added: str, status: int, code: str
) -> None:
    named = (
        f'"input": {{"upload_id": "{live.upload(tenant)}"}}, "identity_id":'
        f' "{live.identity(tenant)}"'
    )
    headers = {"Content-Type": "application/json"}
    problem_of(
        client.post("/v1/swaps/image", content=f"{{{named}, {added}}}", headers=headers),
        status,
        code,
    )
    assert client.get("/v1/jobs").json()["data"] == []


def test_metadata_is_bounded(live: LiveService, client: httpx.Client, tenant: str) -> None:
    body = {"input": {"upload_id": live.upload(tenant)}, "identity_id": live.identity(tenant)}
    problem_of(
        client.post("/v1/swaps/image", json={**body, "metadata": {"x": "y" * 20_000}}),
        422,
        "invalid_request",
    )

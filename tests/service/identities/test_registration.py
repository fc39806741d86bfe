"""Registration over HTTP: photos become an identity once, and do not stay."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import httpx
import pytest
from PIL import Image

from tests.material import CONSENT, SAMPLES
from tests.service import files
from tests.service.live_service import LiveService, problem_of

ADA = (SAMPLES / "ada_neutral.jpg").read_bytes()


def register(
    client: httpx.Client,
    *photos: bytes,
    consent: Mapping[str, object] | None = CONSENT,
    **fields: str,
) -> httpx.Response:
    parts = [("image", ("photo.jpg", photo, "image/jpeg")) for photo in photos]
    data = {"consent": json.dumps(consent), **fields} if consent else fields
    return client.post("/v1/identities", files=parts, data=data)


@pytest.fixture
def kept_nothing(enrolling: LiveService) -> Iterator[None]:
    def files_now() -> set[Path]:
        media = enrolling.settings.media_dir
        # An identity's code is meant to stay; it is sealed.
        sealed = set((media / "identities").rglob("*"))
        return {path for path in media.rglob("*") if path.is_file()} - sealed

    before = files_now()
    yield
    assert files_now() == before


def test_a_photo_becomes_an_identity_and_is_gone(
    enrolling: LiveService, client: httpx.Client, tenant: str, kept_nothing: None
) -> None:
    answer = register(client, ADA, name="ada")
    assert answer.status_code == 201, answer.text
    identity = answer.json()
    assert answer.headers["location"] == f"/v1/identities/{identity['id']}"
    assert (identity["name"], identity["quality"], identity["cached"]) == ("ada", "instant", True)
    assert identity["photos"][0]["accepted"] is True
    assert identity["consent_required"] is True
    assert len(enrolling.identities.code(identity["id"], tenant)) > 1000
    again = client.get(answer.headers["location"])
    assert again.json() == identity
    etag = {"If-None-Match": again.headers["etag"]}
    assert client.get(answer.headers["location"], headers=etag).status_code == 304


def test_several_photos_of_one_person_make_one_identity(
    enrolling: LiveService, client: httpx.Client
) -> None:
    answer = register(client, ADA, (SAMPLES / "ada_smile.jpg").read_bytes())
    assert answer.status_code == 201, answer.text
    assert len(answer.json()["photos"]) == 2


def test_uploads_can_be_registered_by_id(enrolling: LiveService, client: httpx.Client) -> None:
    upload = client.post("/v1/uploads", content=ADA, headers={"Content-Type": "image/jpeg"}).json()
    answer = client.post("/v1/identities", json={"upload_ids": [upload["id"]], "consent": CONSENT})
    assert answer.status_code == 201, answer.text


def pair() -> bytes:
    image = Image.new("RGB", (1600, 800))
    image.paste(Image.open(SAMPLES / "cleo_neutral.jpg").resize((800, 800)), (0, 0))
    image.paste(Image.open(SAMPLES / "dev_neutral.jpg").resize((800, 800)), (800, 0))
    buffer = BytesIO()
    image.save(buffer, "JPEG")

    return buffer.getvalue()


@pytest.mark.parametrize(
    ("photo", "status", "code"),
    [
        (files.saved("JPEG", 640, 480), 422, "no_face"),
        (pair(), 422, "several_faces"),
        (b"not an image at all\n" * 40, 415, "unsupported_media_type"),
        (ADA[:900], 422, "undecodable"),
        (ADA[: len(ADA) // 3], 422, "undecodable"),
        (files.jpeg_header(65_535, 65_535), 413, "media_too_large"),
        ((SAMPLES / "solo_720p30.mp4").read_bytes(), 415, "unsupported_media_type"),
        (b"", 422, "invalid_request"),
    ],
    ids=[
        "no face",
        "two people",
        "text",
        "cut header",
        "cut image",
        "4 gigapixels",
        "video",
        "empty",
    ],
)
def test_a_bad_photo_is_refused_with_its_reason(
    enrolling: LiveService,
    client: httpx.Client,
    kept_nothing: None,
    photo: bytes,
    status: int,
    code: str,
) -> None:
    problem_of(register(client, photo), status, code)
    assert client.get("/v1/identities").json()["data"] == []
    assert client.get("/readyz").status_code == 200


def test_photos_of_different_people_disagree(enrolling: LiveService, client: httpx.Client) -> None:
    others = [(SAMPLES / f"{name}_neutral.jpg").read_bytes() for name in ("ada", "ben")]
    problem_of(register(client, *others), 422, "photos_disagree")


def test_consent_is_required(
    enrolling: LiveService, client: httpx.Client, kept_nothing: None
) -> None:
    problem_of(register(client, ADA, consent=None), 422, "consent_missing")
    problem_of(
        register(client, ADA, consent={**CONSENT, "expires_at": "2026-02-01T00:00:00Z"}),
        403,
        "consent_expired",
    )

    problem_of(
        register(client, ADA, consent={**CONSENT, "scope": "everything"}), 422, "invalid_request"
    )
    problem_of(
        client.post("/v1/identities", json={"urls": ["http://127.0.0.1:1/x"]}),
        422,
        "consent_missing",
    )


def test_nine_photos_are_too_many(
    enrolling: LiveService, client: httpx.Client, kept_nothing: None
) -> None:
    problem_of(register(client, *[ADA] * 9), 422, "invalid_request")


def test_refinement_says_when_it_is_not_there(
    enrolling: LiveService, client: httpx.Client, kept_nothing: None
) -> None:
    problem_of(register(client, ADA, quality="refined"), 422, "refinement_unavailable")


def test_a_photo_that_kills_the_child_costs_one_request(
    enrolling: LiveService, client: httpx.Client, kept_nothing: None
) -> None:
    import psutil

    children = [
        child
        for child in psutil.Process().children()
        if "enrolment_child" in " ".join(child.cmdline())
    ]

    children[0].kill()
    children[0].wait(5)
    assert register(client, ADA).status_code == 201


def test_erasure_answers_410_ever_after_and_cancels_jobs(
    enrolling: LiveService, client: httpx.Client, tenant: str
) -> None:
    job = enrolling.job(client, tenant)
    place = f"/v1/identities/{job['assignments'][0]['identity_id']}"
    receipt = client.delete(place)
    assert receipt.status_code == 200
    assert receipt.json()["jobs_canceled"] == 1
    assert client.get(job["urls"]["self"]).json()["status"] == "canceled"

    for answer in (client.get(place), client.delete(place), client.delete(f"{place}/consent")):
        problem_of(answer, 410, "identity_erased")

    body = {"input": {"upload_id": enrolling.upload(tenant)}, "identity_id": place.split("/")[-1]}
    problem_of(client.post("/v1/swaps/image", json=body), 410, "identity_erased")
    assert client.get(f"{place}/erasure").json()["erased_at"] == receipt.json()["erased_at"]


def test_withdrawn_consent_takes_the_results_with_it(
    enrolling: LiveService, client: httpx.Client, tenant: str
) -> None:
    job = enrolling.job(client, tenant)
    enrolling.finish(job["id"])
    place = f"/v1/identities/{job['assignments'][0]['identity_id']}"
    receipt = client.delete(f"{place}/consent").json()
    assert receipt["results_deleted"] == 1
    problem_of(client.get(job["urls"]["result"]), 404, "not_found")


def test_a_flood_of_registrations_lets_another_tenant_pass(
    enrolling: LiveService, client: httpx.Client
) -> None:
    with enrolling.client("flood") as flood, ThreadPoolExecutor(16) as pool:
        waiting = [pool.submit(register, flood, ADA) for _ in range(16)]
        while not any(future.done() for future in waiting):
            time.sleep(0.01)

        assert register(client, ADA).status_code == 201
        assert sum(not future.done() for future in waiting) >= 8
        assert {future.result().status_code for future in waiting} <= {201, 503}

"""Verdicts over HTTP: on outputs of this installation, on copies and on foreign files."""

from __future__ import annotations

import hashlib

import cv2
import httpx
import numpy as np

from tests.material import SAMPLES
from tests.service.live_service import JPEG
from tests.service.trust.publisher import MARK_ID, Publisher, stripped
from worker.provenance.mark import draw_in_image
from worker.provenance.mark_code import MarkCode


def test_an_output_is_recognised_by_its_bytes_and_signature(
    visitor: httpx.Client, publisher: Publisher
) -> None:
    data = publisher.image()
    answer = visitor.post("/v1/verify", content=data)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["verdict"] == "made_here"
    assert body["c2pa"]["state"] == "trusted"
    assert body["record"]["exact"]
    assert answer.headers["cache-control"] == "no-store"

    assert 'likeness_verifications_total{verdict="made_here"}' in visitor.get("/metrics").text

    looked_up = visitor.post("/v1/verify", json={"sha256": hashlib.sha256(data).hexdigest()})
    assert looked_up.json()["verdict"] == "made_here"


def test_a_stripped_copy_is_recognised_by_its_mark_and_can_have_its_credentials_back(
    visitor: httpx.Client, publisher: Publisher
) -> None:
    copy = stripped(publisher.image())
    body = visitor.post("/v1/verify", files={"file": ("x.jpg", copy)}).json()
    assert body["verdict"] == "made_here"
    assert body["c2pa"]["state"] == "absent"
    assert body["mark"] == {"found": True, "ours": True}
    assert not body["record"]["exact"]

    manifest = visitor.get(body["record"]["manifest_url"])
    assert manifest.headers["content-type"] == "application/c2pa"
    assert b"c2pa" in manifest.content


def test_a_mark_on_another_image_is_called_copied(
    visitor: httpx.Client, publisher: Publisher
) -> None:
    publisher.image("ben_neutral")
    other = cv2.imread(str(SAMPLES / "ada_smile.jpg"))
    assert other is not None
    upside_down = np.ascontiguousarray(other[::-1])
    draw_in_image(upside_down, MarkCode(publisher.trust.mark_keys.newest_first()[0]).tile(MARK_ID))
    data = cv2.imencode(".png", upside_down)[1].tobytes()
    assert visitor.post("/v1/verify", content=data).json()["verdict"] == "mark_copied"


def test_plain_files_have_no_mark_and_the_answer_says_what_that_means(
    visitor: httpx.Client,
) -> None:
    for data in (JPEG, b"not a media file", (SAMPLES / "solo_720p30.mp4").read_bytes()):
        body = visitor.post("/v1/verify", content=data).json()
        assert body["verdict"] == "no_mark_found"
        assert body["notes"] == ["A missing mark does not show that a file is genuine."]


def test_answers_name_no_tenant_job_or_identity(
    visitor: httpx.Client, publisher: Publisher
) -> None:
    text = visitor.post("/v1/verify", content=publisher.image()).text
    assert not [word for word in ("acme", "job_", "idn_", "tenant") if word in text]


def test_marks_of_a_key_that_was_rotated_in_meanwhile_are_read(
    visitor: httpx.Client, publisher: Publisher
) -> None:
    publisher.trust.mark_keys.rotate()
    copy = stripped(publisher.image())
    assert visitor.post("/v1/verify", content=copy).json()["verdict"] == "made_here"

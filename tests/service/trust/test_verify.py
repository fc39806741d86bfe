"""Verification over HTTP: outputs of this installation, copies, foreign files, hostile bytes."""

from __future__ import annotations

import hashlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import cv2
import httpx
import numpy as np
import pytest

from tests.service.live_service import JPEG, SAMPLES, LiveService, problem_of
from worker.provenance.fingerprint import fingerprint
from worker.provenance.manifest import Claim, sign
from worker.provenance.mark import draw_in_image
from worker.provenance.mark_code import MarkCode
from worker.provenance.names import mark_name
from worker.provenance.provenance_store import ProvenanceRecord, ProvenanceStore
from worker.provenance.trust_store import TrustStore
from worker.stores.blobs.directory_blobs import DirectoryBlobs

MARK_ID = 0x00C0FFEE


class Publisher:
    """Makes outputs as a worker of this installation would."""

    def __init__(self, data_dir: Path, folder: Path) -> None:
        self.trust = TrustStore(data_dir / "trust")
        self.records = ProvenanceStore(DirectoryBlobs(data_dir / "media"))
        self._folder = folder

    def image(self, name: str = "ben_neutral") -> bytes:
        """Return a marked, signed and recorded JPEG."""
        image = cv2.imread(str(SAMPLES / f"{name}.jpg"))
        assert image is not None
        draw_in_image(image, MarkCode(self.trust.mark_keys.newest_first()[0]).tile(MARK_ID))
        unsigned = self._folder / "unsigned.jpg"
        signed = self._folder / "signed.jpg"
        cv2.imwrite(str(unsigned), image, [cv2.IMWRITE_JPEG_QUALITY, 93])

        signer = self.trust.signer()
        claim = Claim(job="job_1", pack="open@1", version="1", mark_id=MARK_ID)
        outcome = sign(
            unsigned,
            signed,
            "image/jpeg",
            claim,
            chain=signer.chain,
            sign_claim=signer.sign,
            original=(SAMPLES / f"{name}.jpg", "image/jpeg"),
        )

        record = ProvenanceRecord(
            mark_id=mark_name(MARK_ID),
            job="job_1",
            tenant="acme",
            made_at=time.time(),
            kind="image",
            sha256=hashlib.sha256(signed.read_bytes()).hexdigest(),
            hashes=(fingerprint(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)),),
            manifest_sha256=hashlib.sha256(outcome.manifest).hexdigest(),
        )

        self.records.put(record, outcome.manifest)
        return signed.read_bytes()


@pytest.fixture(scope="module")
def publisher(live: LiveService, tmp_path_factory: pytest.TempPathFactory) -> Publisher:
    return Publisher(live.settings.data_dir, tmp_path_factory.mktemp("made"))


@pytest.fixture
def visitor(live: LiveService) -> httpx.Client:
    """A client without a key, whose earlier requests do not count."""
    live.app.state.service.visitors.forget()
    return httpx.Client(base_url=live.url, timeout=60.0, trust_env=False)


def stripped(data: bytes, quality: int = 80) -> bytes:
    """Return the image encoded again, without its credentials."""
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    return cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


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


def test_a_remote_manifest_is_never_fetched(
    visitor: httpx.Client, publisher: Publisher, tmp_path: Path
) -> None:
    asked: list[str] = []

    class Listener(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # the name that http.server calls
            asked.append(self.path)
            self.send_response(404)
            self.end_headers()

    server = HTTPServer(("127.0.0.1", 0), Listener)
    threading.Thread(target=server.serve_forever, daemon=True).start()

    try:
        url = f"http://127.0.0.1:{server.server_port}/manifest.c2pa"
        data = with_remote_manifest(url)
        assert url.encode() in data
        assert visitor.post("/v1/verify", content=data).status_code == 200
    finally:
        server.shutdown()
        server.server_close()

    assert asked == []


def with_remote_manifest(url: str) -> bytes:
    """Return a JPEG whose XMP names a manifest elsewhere."""
    xmp = (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF'
        ' xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""'
        f' xmlns:dcterms="http://purl.org/dc/terms/" dcterms:provenance="{url}"/>'
        "</rdf:RDF></x:xmpmeta>"
    )

    payload = b"http://ns.adobe.com/xap/1.0/\0" + xmp.encode()
    segment = b"\xff\xe1" + (len(payload) + 2).to_bytes(2, "big") + payload
    return JPEG[:2] + segment + JPEG[2:]


def test_nothing_of_a_file_stays_on_the_disk(live: LiveService, visitor: httpx.Client) -> None:
    marker = b"a marker that is in no other file, 7f3c"
    visitor.post("/v1/verify", content=JPEG + marker)
    kept = [path for path in live.settings.data_dir.rglob("*") if path.is_file()]
    assert [path for path in kept if marker in path.read_bytes()] == []


def test_damaged_files_do_not_break_the_service(
    visitor: httpx.Client, live: LiveService, publisher: Publisher
) -> None:
    draw = np.random.default_rng(11)
    data = publisher.image()

    for _ in range(20):
        broken = bytearray(data)
        for place in draw.integers(0, len(data), 30):
            broken[place] = int(draw.integers(0, 256))

        answer = visitor.post("/v1/verify", content=bytes(broken))
        assert answer.status_code in (200, 422), answer.text

    assert visitor.post("/v1/verify", content=data).json()["verdict"] == "made_here"


def test_a_thirty_first_request_in_a_minute_is_refused(visitor: httpx.Client) -> None:
    body = {"sha256": "0" * 64}
    assert {visitor.post("/v1/verify", json=body).status_code for _ in range(30)} == {200}
    answer = visitor.post("/v1/verify", json=body)
    problem_of(answer, 429, "too_many_requests")
    assert int(answer.headers["retry-after"]) > 0


def test_the_page_loads_nothing_from_elsewhere(visitor: httpx.Client) -> None:
    page = visitor.get("/verify")
    assert page.status_code == 200
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "http" not in page.text.replace("http-equiv", "")
    assert visitor.get("/verify.js").headers["content-type"].startswith("text/javascript")


@pytest.fixture
def allowing(live: LiveService) -> Iterator[Callable[[str], None]]:
    """Sets who may verify, until the test ends."""
    state = live.app.state.service

    def set_to(verify: str) -> None:
        settings = state.settings.model_copy(update={"verify": verify})
        live.app.state.service = replace(state, settings=settings)

    yield set_to
    live.app.state.service = state


def test_an_operator_may_ask_for_keys_or_turn_verification_off(
    visitor: httpx.Client, client: httpx.Client, allowing: Callable[[str], None]
) -> None:
    body = {"sha256": "0" * 64}
    allowing("keyed")
    problem_of(visitor.post("/v1/verify", json=body), 401, "unauthorized")
    assert client.post("/v1/verify", json=body).status_code == 200
    assert visitor.get("/verify").status_code == 404

    allowing("off")
    problem_of(client.post("/v1/verify", json=body), 404, "not_found")
    problem_of(client.get("/v1/verify/manifests/00c0ffee"), 404, "not_found")


def test_marks_of_a_key_that_was_rotated_in_meanwhile_are_read(
    visitor: httpx.Client, publisher: Publisher
) -> None:
    publisher.trust.mark_keys.rotate()
    copy = stripped(publisher.image())
    assert visitor.post("/v1/verify", content=copy).json()["verdict"] == "made_here"


def test_large_bodies_are_refused_before_they_are_read(live: LiveService) -> None:
    with socket.create_connection(
        (httpx.URL(live.url).host, httpx.URL(live.url).port or 0)
    ) as line:
        line.settimeout(10)
        line.sendall(b"POST /v1/verify HTTP/1.1\r\nHost: x\r\nContent-Length: 300000000\r\n\r\n")
        assert line.recv(1024).startswith(b"HTTP/1.1 413")

"""The service and what lies outside it: URLs of inputs, quotas, a store that goes away, a lone
user's installation.
"""

from __future__ import annotations

import base64
import json
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.material import CONSENT, SAMPLES
from tests.service.conftest import live_on
from tests.service.live_service import JPEG, LiveService, problem_of, until
from tests.store_server import StoreServer
from tests.web_server import QuietHandler, web_server
from worker.stores.tenants import TenantStore


@pytest.fixture
def web() -> Iterator[str]:
    """Somebody's web server: /ben.jpg, /big, /hop/<n>, /inside."""

    class Handler(QuietHandler):
        def get(self) -> None:
            if self.path.startswith("/hop/"):
                left = int(self.path.removeprefix("/hop/"))
                self.send_response(302)
                self.send_header("Location", f"/hop/{left - 1}" if left > 1 else "/ben.jpg")
                self.end_headers()

                return

            self.answer(404 if self.path == "/missing" else 200, JPEG)

            if self.path == "/big":
                while True:
                    self.wfile.write(bytes(1 << 20))

    with web_server(Handler) as url:
        yield url


@pytest.mark.parametrize("path", ["/ben.jpg", "/hop/3"])
def test_an_input_may_lie_behind_a_url(
    live: LiveService, client: httpx.Client, tenant: str, web: str, path: str
) -> None:
    body = {"input": {"url": web + path}, "identity_id": live.identity(tenant)}
    answer = client.post("/v1/swaps/image", json=body)
    assert answer.status_code == 202, answer.text
    assert live.media.stat(answer.json()["input"]["upload_id"], tenant).bytes == len(JPEG)


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/missing", 422, "fetch_failed"),
        ("/hop/4", 422, "fetch_failed"),
        ("/big", 413, "body_too_large"),
    ],
)
def test_a_url_that_does_not_deliver_is_a_problem(
    live: LiveService,
    client: httpx.Client,
    tenant: str,
    web: str,
    path: str,
    status: int,
    code: str,
) -> None:
    body = {"input": {"url": web + path}, "identity_id": live.identity(tenant)}
    problem_of(client.post("/v1/swaps/image", json=body), status, code)


@pytest.mark.parametrize(
    "url", ["http://10.0.0.1/x.jpg", "http://169.254.169.254/latest", "http://1.1.1.1:22/"]
)
def test_a_private_url_is_refused(
    live: LiveService, client: httpx.Client, tenant: str, url: str
) -> None:
    body = {"input": {"url": url}, "identity_id": live.identity(tenant)}
    problem_of(client.post("/v1/swaps/image", json=body), 422, "fetch_refused")


def test_base64_inputs_are_taken_up_to_their_bound(
    live: LiveService, client: httpx.Client, tenant: str
) -> None:

    identity_id = live.identity(tenant)
    text = base64.b64encode(JPEG).decode()

    for value in (text, f"data:image/jpeg;base64,{text}"):
        body = {"input": {"base64": value}, "identity_id": identity_id}
        assert client.post("/v1/swaps/image", json=body).status_code == 202

    body = {
        "input": {"base64": base64.b64encode(JPEG + bytes(1 << 20)).decode()},
        "identity_id": identity_id,
    }
    assert client.post("/v1/swaps/image", json=body).status_code in (413, 422)
    problem_of(
        client.post(
            "/v1/swaps/image", json={"input": {"base64": "ätsch"}, "identity_id": identity_id}
        ),
        422,
        "invalid_request",
    )


def test_a_tenant_at_its_bound_is_told_when_to_come_back(
    live: LiveService, client: httpx.Client, tenant: str
) -> None:
    TenantStore(live.redis).set_bounds(tenant, {"max_jobs": 1})
    job = live.job(client, tenant)
    body = {"input": {"upload_id": live.upload(tenant)}, "identity_id": live.identity(tenant)}
    refused = client.post("/v1/swaps/image", json=body)
    problem_of(refused, 429, "quota_exceeded")
    assert int(refused.headers["retry-after"]) >= 1
    client.post(job["urls"]["cancel"])
    assert client.post("/v1/swaps/image", json=body).status_code == 202


def test_a_store_that_is_away_is_a_503_and_no_end(own_store_server: StoreServer) -> None:
    with live_on(own_store_server) as live, live.client() as client:
        assert client.get("/v1/jobs").status_code == 200
        own_store_server.kill()
        away = client.get("/v1/jobs")
        problem_of(away, 503, "store_unavailable")
        assert int(away.headers["retry-after"]) >= 1
        assert client.get("/livez").status_code == 200
        assert client.get("/readyz").json()["checks"]["store"] is False
        own_store_server.start()
        until(lambda: client.get("/v1/jobs").status_code == 200)


def test_a_service_that_drains_says_so_and_lets_go_of_its_waiters(
    own_store_server: StoreServer,
) -> None:
    with live_on(own_store_server) as live, live.client() as client:
        job = live.job(client)
        threading.Timer(0.5, live.app.state.service.events.drain).start()
        began = time.monotonic()
        assert client.get(job["urls"]["events"]).text.endswith(": keep-alive\n\n")
        assert time.monotonic() - began < 4
        assert client.get("/readyz").status_code == 503
        body = {"input": {"upload_id": live.upload()}, "identity_id": live.identity()}
        problem_of(client.post("/v1/swaps/image", json=body), 503, "draining")
        assert (
            client.get(job["urls"]["self"], headers={"Prefer": "wait=30"}).json()["status"]
            == "queued"
        )
        assert time.monotonic() - began < 8


def test_a_body_that_comes_too_slowly_is_given_up(live: LiveService) -> None:
    with tempfile.TemporaryDirectory(prefix="lk-") as directory:
        settings = live.settings.model_copy(
            update={"body_idle_timeout_s": 0.5, "data_dir": Path(directory) / "data"}
        )

        def dripping() -> Iterator[bytes]:
            yield JPEG[:1000]
            time.sleep(2)
            yield JPEG[1000:]

        with LiveService(settings) as impatient, impatient.client("slow") as client:
            answer = client.post(
                "/v1/uploads", content=dripping(), headers={"Content-Type": "image/jpeg"}
            )
            problem_of(answer, 400, "bad_request")
            left = [path for path in impatient.settings.media_dir.rglob("*") if path.is_file()]
            assert [path.name for path in left] == ["installation"]


def test_a_tenant_holds_so_many_endpoints(live: LiveService, client: httpx.Client) -> None:
    body = {"url": "https://example.org/hook"}
    made = [client.post("/v1/webhook-endpoints", json=body) for _ in range(17)]
    assert [answer.status_code for answer in made] == [201] * 16 + [429]
    problem_of(made[-1], 429, "quota_exceeded")


def test_a_single_user_may_do_without_consent_and_is_told_so(live: LiveService) -> None:
    with tempfile.TemporaryDirectory(prefix="lk-") as directory:
        settings = live.settings.model_copy(
            update={"require_consent": False, "data_dir": Path(directory) / "data"}
        )
        with LiveService(settings) as relaxed, relaxed.client("alone") as client:
            until(lambda: client.get("/startupz").status_code == 200, timeout_s=90)
            photo = {"image": ("ada.jpg", (SAMPLES / "ada_neutral.jpg").read_bytes(), "image/jpeg")}
            made = client.post("/v1/identities", files=photo)
            assert made.status_code == 201, made.text
            assert made.json()["consent_required"] is False
            swap = {
                "input": {"upload_id": relaxed.upload("alone")},
                "identity_id": made.json()["id"],
            }
            assert client.post("/v1/swaps/image", json=swap).status_code == 202
            narrow = {**CONSENT, "scope": ["video"]}
            made = client.post("/v1/identities", files=photo, data={"consent": json.dumps(narrow)})
            swap["identity_id"] = made.json()["id"]
            problem_of(client.post("/v1/swaps/image", json=swap), 403, "consent_scope")

"""The Python client against a small server of the test's own: retries, paging, webhooks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from likeness_client import Client, ConnectionFailed, LikenessError, unwrap_webhook
from likeness_client.retries import Retries
from likeness_client.sending import PART_BYTES, WHOLE_BYTES

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
UPLOAD = {"id": "upl_1", "sha256": "00", "bytes": 3, "media_type": "image/png", "new": "member"}
JOB = {"id": "job_1", "kind": "swap_image", "status": "succeeded", "progress": {"done": 1}}


class Server(ThreadingHTTPServer):
    """Answers with what is left in `answers`, and keeps the headers and bodies it was sent."""

    def __init__(self, answers: list[tuple[int, dict[str, object]]]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers = answers
        self.seen: list[tuple[str, dict[str, str], bytes]] = []


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if "chunked" in self.headers.get("transfer-encoding", ""):
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()

        self.server.seen.append((self.path, dict(self.headers), body))
        status, answer = self.server.answers.pop(0)
        text = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Retry-After", "0")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_POST = do_GET  # noqa: N815 - the base names it
    do_PATCH = do_GET  # noqa: N815 - the base names it

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base names it
        """Say nothing."""


@contextmanager
def serving(*answers: tuple[int, dict[str, object]]) -> Iterator[tuple[Server, Client]]:
    with Server(list(answers)) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        with Client(f"http://127.0.0.1:{server.server_port}", "lk_a_b") as client:
            yield server, client

        server.shutdown()


def test_upload_is_sent_again_under_the_same_key(tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    file.write_bytes(b"abc")
    full = {"code": "queue_full", "detail": "Full.", "request_id": "req_1"}

    with serving((503, full), (429, full), (201, UPLOAD)) as (server, client):
        assert client.upload(file).id == "upl_1"

    keys = {headers["Idempotency-Key"] for _, headers, _ in server.seen}
    assert len(keys) == 1
    assert [body for _, _, body in server.seen] == [b"abc"] * 3


def test_refusal_is_not_tried_again(tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    file.write_bytes(b"abc")
    refused = {"code": "undecodable", "detail": "It is damaged.", "request_id": "req_1"}

    with (
        serving((422, refused)) as (server, client),
        pytest.raises(LikenessError, match="It is damaged") as caught,
    ):
        client.upload(file)

    assert (caught.value.code, caught.value.request_id) == ("undecodable", "req_1")
    assert len(server.seen) == 1


def test_answer_that_is_no_problem_is_told_as_such() -> None:
    with (
        serving((404, {"a proxy": "says"})) as (_, client),
        pytest.raises(LikenessError, match="the server answered 404"),
    ):
        client.job("job_1")


def test_pages_are_read_to_the_end() -> None:
    first = {"data": [JOB], "next_cursor": "job_1"}
    last = {"data": [{**JOB, "id": "job_0"}], "next_cursor": None}

    with serving((200, first), (200, last)) as (server, client):
        assert [job.id for job in client.jobs()] == ["job_1", "job_0"]

    assert server.seen[1][0] == "/v1/jobs?limit=100&cursor=job_1"


def test_service_that_is_gone_is_named() -> None:
    retries = Retries(tries=2, first_pause_s=0.01)
    with (
        Client("http://127.0.0.1:9", "lk_a_b", retries=retries) as client,
        pytest.raises(ConnectionFailed, match="does not answer"),
    ):
        client.job("job_1")


def test_webhook_is_believed_only_with_its_signature() -> None:
    body = json.dumps({"type": "job.succeeded", "timestamp": "", "data": JOB})
    now = datetime.now(UTC)
    headers = {
        "Webhook-Id": "msg_1",
        "Webhook-Timestamp": str(int(now.timestamp())),
        "Webhook-Signature": Webhook(SECRET).sign("msg_1", now, body),
    }

    assert unwrap_webhook(body, headers, SECRET).job.id == "job_1"
    with pytest.raises(WebhookVerificationError):
        unwrap_webhook(body.replace("job_1", "job_2"), headers, SECRET)


def test_client_without_a_key_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LIKENESS_API_KEY", raising=False)
    with pytest.raises(LikenessError, match="LIKENESS_API_KEY"):
        Client("http://127.0.0.1:9")


def test_a_large_file_is_sent_in_parts_and_goes_on_where_it_was(tmp_path: Path) -> None:
    size = WHOLE_BYTES + 1000
    file = tmp_path / "large.mp4"
    file.write_bytes(bytes(size))

    def there(received: int) -> tuple[int, dict[str, object]]:
        return 200, {"id": "upl_1", "bytes": size, "received": received}

    lost = {"code": "upload_offset", "detail": "it ends elsewhere", "request_id": "req_1"}
    answers = [
        (201, there(0)[1]),
        (204, {}),
        there(PART_BYTES),
        # The answer to the second part is lost, and a piece more has arrived than the client knows.
        (503, {}),
        (409, lost),
        there(2 * PART_BYTES - 5),
        (204, {}),
        there(3 * PART_BYTES - 5),
        (204, {}),
        there(size - 10),
        (204, {}),
        there(size),
        (200, UPLOAD),
    ]
    with serving(*answers) as (server, client):
        assert client.upload(file).id == "upl_1"

    parts = [(headers, body) for path, headers, body in server.seen if "Upload-Offset" in headers]
    offsets = [int(headers["Upload-Offset"]) for headers, _ in parts]
    assert offsets == [0, PART_BYTES, PART_BYTES, 2 * PART_BYTES - 5, 3 * PART_BYTES - 5, size - 10]
    assert [len(body) for _, body in parts][:2] == [PART_BYTES, PART_BYTES]
    assert len(parts[-1][1]) == 10


def test_targets_of_one_name_are_refused_before_anything_is_sent(tmp_path: Path) -> None:
    with serving() as (server, client), pytest.raises(ValueError, match="one name"):
        client.swap_all("idn_1", [tmp_path / "a" / "x.jpg", tmp_path / "b" / "x.jpg"], tmp_path)
    assert server.seen == []

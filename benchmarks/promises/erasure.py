"""Bar G-5: after withdrawn consent no byte of the person is found in the data directory."""

from __future__ import annotations

import base64
import io
import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
from PIL import Image

from benchmarks.bar import Figure, bar
from benchmarks.stack import ROOT, Stack, running_stack, stopwatch
from tests.worker.workers import eventually

SAMPLES = ROOT / "service" / "samples"
# The promise in docs/security.md.
BOUND_S = 60.0
MARK_BYTES = 48  # of a marker; random or compressed bytes of this length occur by no accident


@dataclass
class Person:
    """One registered person: the photo, and markers of everything that was made of it."""

    way: str
    photo: bytes
    name: str
    markers: dict[str, bytes] = field(default_factory=dict)


@bar("G-5")
def withdrawn_consent_leaves_no_byte() -> Figure:
    """Photos come by form, upload and URL, and as job inputs by upload, form, base64 and URL.

    Each person is analysed, swapped and swapped into, with idempotency keys. Markers of photo,
    code, weights, thumbnails, results, name and subject are looked for in every file of the data
    directory, the store's log and every key: first that they are found, then that they are gone.
    """
    with stopwatch(300), running_stack() as here, web_server() as web:
        here.add_api(trusted_networks='["127.0.0.1/32"]', log_level="info")
        here.add_worker("image", "image", small=False)
        here.add_worker("video", "video", small=False)
        here.await_api()
        here.await_workers(2)

        with here.client("acme", timeout_s=90) as client:
            # Ready means models loaded, which takes longer while other bars run.
            eventually(lambda: client.get("/readyz").status_code == 200, 90, "a ready API")
            other = register_other(client)
            people = [live_with(here, client, web, way, other) for way in WAYS]
            unseen = [
                f"{person.way}: {what}"
                # The control: a marker that is never found proves nothing when it is gone.
                for person in people
                for what, marker in person.markers.items()
                if what != "photo" and not places(here, marker)
            ]

            print(f"markers that were not found while consent held: {unseen or 'none'}")
            began = time.monotonic()

            for person in people:
                withdraw(client, person)

            left = wait_until_gone(here, people, began)
            replays = [replay(client, web, person) for person in people]

    took_s = time.monotonic() - began
    print(f"left after {took_s:.1f} s: {left or 'nothing'}; retries answer {replays}")
    holds = not left and not unseen and set(replays) == {410}

    return Figure(len(left), f"markers left ({took_s:.0f} s)", "0 within 60 s", holds)


def register_other(client: httpx.Client) -> str:
    photo = (SAMPLES / "ben_neutral.jpg").read_bytes()
    answer = client.post(
        "/v1/identities", files={"image": photo}, data={"consent": json.dumps(consent("other"))}
    )
    return str(answer.raise_for_status().json()["id"])


def consent(subject: str) -> dict[str, Any]:
    return {
        "subject": subject,
        "basis": "consent",
        "scope": ["image", "video"],
        "granted_at": "2026-01-05T10:00:00Z",
    }


def live_with(here: Stack, client: httpx.Client, web: Web, way: str, other: str) -> Person:
    """Use a person's photo and face in every way, and return the markers of what that made."""
    # Bytes behind the end of a JPEG are part of the file and change no pixel.
    photo = (SAMPLES / "ada_neutral.jpg").read_bytes() + secrets.token_bytes(MARK_BYTES)
    person = Person(way, photo, f"g5-{secrets.token_hex(16)}")
    web.files[f"/{person.name}.jpg"] = photo
    person.markers["photo"] = photo[-MARK_BYTES:]

    # As an input first: results made from a photo are erased with the photo, too.
    before = use_as_input(client, web, person, other)
    answer = WAYS[way](client, web, person)
    identity_id = answer.raise_for_status().json()["id"]

    for path in before:
        # Already at registration: a photo that was registered must not stay as an upload.
        assert client.get(path).status_code == 404, "a result from a registered photo is served"

    assert not places(here, person.markers["photo"]), "the photo outlives its registration"

    after = use_as_input(client, web, person, other)
    after += [swap(client, identity_id, SAMPLES / "dev_neutral.jpg")]

    for index, path in enumerate(after):
        remember(person, f"result {index}", client.get(path).raise_for_status().content)

    identities = here.bench.shop.identities
    record = identities.get(identity_id)
    remember(person, "code", identities.code(identity_id))
    remember(person, "weights", identities.weights(identity_id, record.pack) or b"")
    person.markers["name"] = person.name.encode()
    person.markers["subject"] = f"{person.name}@example.org".encode()

    return person


def remember(person: Person, what: str, content: bytes) -> None:
    """Take markers from three places of what was made, and from each thumbnail in it."""
    # Three places of each, in case a part of it is rewritten and the rest forgotten.
    for share in (0.3, 0.6, 0.9):
        start = int(share * (len(content) - MARK_BYTES))
        # A run of few different bytes may occur anywhere.
        if len(set(content[start : start + MARK_BYTES])) > MARK_BYTES // 3:
            person.markers[f"{what} at {share}"] = content[start : start + MARK_BYTES]

    # Credentials of a result carry thumbnails of what went into it.
    for part in content.split(b"data:image/jpeg;base64,")[1:]:
        thumbnail = base64.b64decode(part.partition(b'"')[0])
        Image.open(io.BytesIO(thumbnail)).verify()
        person.markers[f"{what}, thumbnail"] = part[200 : 200 + MARK_BYTES]


def use_as_input(client: httpx.Client, web: Web, person: Person, other: str) -> list[str]:
    """Analyse the photo and swap another face into it; return where the results are."""
    upload = {"Content-Type": "image/jpeg"}
    # By all four ways in which a request can bring its input.
    upload_id = client.post("/v1/uploads", content=person.photo, headers=upload).json()["id"]
    inline = base64.b64encode(person.photo).decode()
    inputs: list[tuple[str, dict[str, Any]]] = [
        ("/v1/analyses", {"input": {"upload_id": upload_id}}),
        ("/v1/swaps/image", {"input": {"base64": inline}, "identity_id": other}),
        ("/v1/swaps/image", {"input": {"url": web.url(person)}, "identity_id": other}),
        ("/v1/swaps/image", {"input": {"upload_id": upload_id}, "identity_id": other}),
    ]
    return [finished(client, client.post(path, json=body)) for path, body in inputs]


def swap(client: httpx.Client, identity_id: str, target: Any) -> str:  # noqa: ANN401 - a path
    fields = {"identity_id": identity_id}
    files = {"image": target.read_bytes()}
    return finished(client, client.post("/v1/swaps/image", files=files, data=fields))


def finished(client: httpx.Client, accepted: httpx.Response) -> str:
    """Wait for a job and return the path of its result."""
    url = accepted.raise_for_status().json()["urls"]["self"]
    job = client.get(url, headers={"Prefer": "wait=60"}).json()
    assert job["status"] == "succeeded", job
    return str(job["urls"]["result"])


def by_form(client: httpx.Client, _web: Web, person: Person) -> httpx.Response:
    data = {"name": person.name, "consent": json.dumps(consent(f"{person.name}@example.org"))}
    files = {"image": ("ada.jpg", person.photo, "image/jpeg")}
    return client.post("/v1/identities", files=files, data=data, headers=key(person))


def by_upload(client: httpx.Client, web: Web, person: Person) -> httpx.Response:
    headers = {"Content-Type": "image/jpeg"}
    if person.name not in web.uploads:  # a retry names the same upload, which is gone by then
        upload = client.post("/v1/uploads", content=person.photo, headers=headers).json()
        web.uploads[person.name] = upload["id"]

    asked = body(person, upload_ids=[web.uploads[person.name]])
    return client.post("/v1/identities", json=asked, headers=key(person))


def by_url(client: httpx.Client, web: Web, person: Person) -> httpx.Response:
    asked = body(person, urls=[web.url(person)])
    return client.post("/v1/identities", json=asked, headers=key(person))


def body(person: Person, **photos: list[str]) -> dict[str, Any]:
    return {
        "name": person.name,
        "consent": consent(f"{person.name}@example.org"),
        **photos,
    }


def key(person: Person) -> dict[str, str]:
    return {"Idempotency-Key": f"register-{person.name}"}


WAYS: Mapping[str, Callable[[httpx.Client, Web, Person], httpx.Response]] = {
    "form": by_form,
    "upload_ids": by_upload,
    "urls": by_url,
}


def withdraw(client: httpx.Client, person: Person) -> None:
    page = client.get("/v1/identities", params={"subject": f"{person.name}@example.org"}).json()
    (found,) = page["data"]
    client.delete(f"/v1/identities/{found['id']}/consent").raise_for_status()


def replay(client: httpx.Client, web: Web, person: Person) -> int:
    return WAYS[person.way](client, web, person).status_code


def wait_until_gone(here: Stack, people: list[Person], began: float) -> list[str]:
    """Look until nothing is left or the time is up; return what is left."""
    while True:
        left = [
            f"{person.way}: {what} in {where}"
            for person in people
            for what, marker in person.markers.items()
            for where in places(here, marker)
        ]

        if not left or time.monotonic() - began > BOUND_S:
            return left

        # Often enough for a bound of sixty seconds.
        time.sleep(2)


def places(here: Stack, marker: bytes) -> list[str]:
    """Return the files, of data directory and store, and the store's keys that hold a marker."""
    # Logs and the store's own files included.
    files = [path for path in here.directory.rglob("*") if path.is_file()]
    found = [str(path.relative_to(here.directory)) for path in files if marker in read(path)]
    redis = here.bench.shop.store.redis
    return found + [
        str(name) for name in redis.scan_iter(count=1000) if marker in (redis.dump(name) or b"")
    ]


def read(path: Any) -> bytes:  # noqa: ANN401 - a path
    try:
        return bytes(path.read_bytes())
    except FileNotFoundError:  # deleted meanwhile
        return b""


@dataclass
class Web:
    """A web server on loopback that has the photos."""

    address: str
    files: dict[str, bytes] = field(default_factory=dict)
    uploads: dict[str, str] = field(default_factory=dict)

    def url(self, person: Person) -> str:
        return f"{self.address}/{person.name}.jpg"


@contextmanager
def web_server() -> Iterator[Web]:
    web = Web("")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(web.files[self.path])

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    web.address = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield web
    server.shutdown()
    server.server_close()

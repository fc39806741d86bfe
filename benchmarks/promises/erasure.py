"""Bar G-5: after withdrawn consent no byte of the person is found in the data directory."""

from __future__ import annotations

import base64
import io
import secrets
import time
from typing import Any

import httpx
from PIL import Image

from benchmarks.bar import Figure, bar
from benchmarks.promises.registrations import (
    MARK_BYTES,
    WAYS,
    Person,
    Web,
    photo_server,
    register_other,
    swap,
    use_as_input,
)
from benchmarks.stack import Stack, running_stack, stopwatch
from tests.material import SAMPLES
from tests.worker.workers import eventually
from worker.stores.connection import Reply
from worker.stores.identities.identity_records import ABOUT
from worker.stores.identities.identity_store import CODE
from worker.stores.keys import IDENTITY

# The promise in docs/security.md.
BOUND_S = 60.0
# Three places of what was made, in case a part of it is rewritten and the rest forgotten.
SHARES = (0.3, 0.6, 0.9)
# A photo is not kept, a code is sealed and a record compressed: none is stored as it is.
NEVER_STORED = ("photo", "name", "subject", *(f"code at {share}" for share in SHARES))


@bar("G-5")
def withdrawn_consent_leaves_no_byte() -> Figure:
    """Photos come by form, upload and URL, and as job inputs by upload, form, base64 and URL.

    Each person is analysed, swapped and swapped into, with idempotency keys. Markers of photo,
    sealed code and its key, weights, thumbnails, results, and of the compressed record with name
    and subject are looked for in every file of the data directory, the store's log and every key:
    first that they are found, then that they are gone. Code, name and subject as they are must not
    be found either.
    """
    with stopwatch(300), running_stack() as here, photo_server() as web:
        here.add_api(trusted_networks='["127.0.0.1/32"]', log_level="info")
        here.add_worker("image", "image", small=False)
        here.add_worker("video", "video", small=False)
        here.await_api()
        here.await_workers(2)

        with here.client("acme", timeout_s=90) as client:
            # Ready means models loaded, which takes longer while other bars run.
            eventually(lambda: client.get("/readyz").status_code == 200, 90, "a ready API")
            other = register_other(client)
            # One after the other and all before any is withdrawn: markers of different people must
            # not mix.
            people = [live_with(here, client, web, way, other) for way in WAYS]
            unseen = [
                f"{person.way}: {what}"
                # The control: a marker that is never found proves nothing when it is gone.
                for person in people
                for what, marker in person.markers.items()
                if what not in NEVER_STORED and not places(here, marker)
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


def live_with(here: Stack, client: httpx.Client, web: Web, way: str, other: str) -> Person:
    """Use a person's photo and face in every way, and return the markers of what that made."""
    # Bytes behind the end of a JPEG are part of the file and change no pixel.
    photo = (SAMPLES / "ada_neutral.jpg").read_bytes() + secrets.token_bytes(MARK_BYTES)
    person = Person(way, photo, f"g5-{secrets.token_hex(16)}")
    # Still served afterwards: a retry by URL must be refused for the key, not for a missing file.
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

    identities = here.bench.stores.identities
    record = identities.get(identity_id)
    (sealed,) = here.directory.rglob(f"{identity_id}/{CODE}")
    remember(person, "code", identities.code(identity_id))
    remember(person, "sealed code", sealed.read_bytes())
    fields: Reply = here.bench.stores.jobs.redis.hgetall(IDENTITY(identity_id))
    remember(person, "record", fields[ABOUT.encode()])
    person.markers["key"] = fields[b"key"]
    remember(person, "weights", identities.weights(identity_id, record.pack) or b"")
    person.markers["name"] = person.name.encode()
    person.markers["subject"] = f"{person.name}@example.org".encode()

    return person


def remember(person: Person, what: str, content: bytes) -> None:
    """Take markers from three places of what was made, and from each thumbnail in it."""
    for share in SHARES:
        start = int(share * (len(content) - MARK_BYTES))
        # A run of few different bytes may occur anywhere.
        if len(set(content[start : start + MARK_BYTES])) > MARK_BYTES // 3:
            person.markers[f"{what} at {share}"] = content[start : start + MARK_BYTES]

    # Credentials of a result carry thumbnails of what went into it.
    for part in content.split(b"data:image/jpeg;base64,")[1:]:
        thumbnail = base64.b64decode(part.partition(b'"')[0])
        Image.open(io.BytesIO(thumbnail)).verify()
        person.markers[f"{what}, thumbnail"] = part[200 : 200 + MARK_BYTES]


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
    redis = here.bench.stores.jobs.redis
    return found + [
        str(name) for name in redis.scan_iter(count=1000) if marker in (redis.dump(name) or b"")
    ]


def read(path: Any) -> bytes:  # noqa: ANN401 - a path
    try:
        return bytes(path.read_bytes())
    except FileNotFoundError:  # deleted meanwhile
        return b""

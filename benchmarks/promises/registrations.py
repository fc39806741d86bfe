"""Somebody who registers in one of three ways, and the web server that their photo lies on."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.material import SAMPLES
from tests.web_server import QuietHandler, web_server

MARK_BYTES = 48  # of a marker; random or compressed bytes of this length occur by no accident


@dataclass
class Person:
    """One registered person: the photo, and markers of everything that was made of it."""

    way: str
    photo: bytes
    name: str
    markers: dict[str, bytes] = field(default_factory=dict)


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


@dataclass
class Web:
    """A web server on loopback that has the photos."""

    address: str
    files: dict[str, bytes] = field(default_factory=dict)
    # What a retry has to name again, since the upload itself is gone.
    uploads: dict[str, str] = field(default_factory=dict)

    def url(self, person: Person) -> str:
        return f"{self.address}/{person.name}.jpg"


@contextmanager
def photo_server() -> Iterator[Web]:
    web = Web("")

    class Handler(QuietHandler):
        def get(self) -> None:
            self.answer(200, web.files[self.path])

    with web_server(Handler) as url:
        web.address = url
        yield web

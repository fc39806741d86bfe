"""Every request of the API as a value: both clients send these, and only these."""

from __future__ import annotations

import json
import mimetypes
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

import httpx

from likeness_client.models import (
    Batch,
    Consent,
    Identity,
    Job,
    Page,
    PartialUpload,
    Upload,
    batch_of,
    job_of,
    known,
)

Answer = TypeVar("Answer")
File = tuple[str, tuple[str, bytes, str]]


@dataclass(frozen=True)
class Call(Generic[Answer]):
    """A request, and how its answer is read.

    `body` is a file that is sent as it is, opened anew for each try.
    """

    method: str
    path: str
    parse: Callable[[httpx.Response], Answer]
    params: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    json: Any = None
    data: Mapping[str, str] | None = None
    files: Sequence[File] | None = None
    body: Path | None = None
    content: bytes | None = None  # a part of a file

    def arguments(self) -> dict[str, Any]:
        """Return what httpx is to send beside the method, the path and the body."""
        return {
            "params": self.params,
            "headers": self.headers,
            "json": self.json,
            "data": self.data,
            "files": self.files,
        }


def create_upload(file: Path) -> Call[Upload]:
    """Store an image or video."""
    headers = {"Content-Type": _media_type(file), **_once()}
    return Call("POST", "/v1/uploads", _upload, headers=headers, body=file)


def begin_upload(size: int) -> Call[PartialUpload]:
    """Begin an upload that is sent in parts, by tus 1.0."""
    headers = {"Tus-Resumable": "1.0.0", "Upload-Length": str(size)}
    return Call("POST", "/v1/uploads/resumable", _partial, headers=headers)


def append_part(upload: PartialUpload, part: bytes) -> Call[None]:
    """Add the part that comes after what is there."""
    headers = {
        "Tus-Resumable": "1.0.0",
        "Upload-Offset": str(upload.received),
        "Content-Type": "application/offset+octet-stream",
    }
    path = f"/v1/uploads/resumable/{upload.id}"
    return Call("PATCH", path, lambda _: None, headers=headers, content=part)


def get_partial(upload_id: str) -> Call[PartialUpload]:
    """Ask how far an upload in parts is."""
    return Call("GET", f"/v1/uploads/resumable/{upload_id}", _partial)


def get_upload(upload_id: str) -> Call[Upload]:
    """Read an upload."""
    return Call("GET", f"/v1/uploads/{upload_id}", _upload)


def create_batch(body: Mapping[str, Any]) -> Call[Batch]:
    """Submit many swaps by one request."""
    return Call("POST", "/v1/batches", _batch, headers=_once(), json=body)


def get_batch(batch_id: str) -> Call[Batch]:
    """Read a batch."""
    return Call("GET", f"/v1/batches/{batch_id}", _batch)


def create_identity(
    photos: Sequence[Path], consent: Consent | None, name: str | None, quality: str
) -> Call[Identity]:
    """Register one person from one to eight photos."""
    data = {"quality": quality}
    if name is not None:
        data["name"] = name
    if consent is not None:
        data["consent"] = json.dumps(consent.to_json())

    files = [("image", (photo.name, photo.read_bytes(), _media_type(photo))) for photo in photos]
    return Call("POST", "/v1/identities", _identity, headers=_once(), data=data, files=files)


def get_identity(identity_id: str) -> Call[Identity]:
    """Read an identity."""
    return Call("GET", f"/v1/identities/{identity_id}", _identity)


def delete_identity(identity_id: str) -> Call[Mapping[str, Any]]:
    """Erase an identity; the answer is the receipt."""
    return Call("DELETE", f"/v1/identities/{identity_id}", _json)


def list_identities(cursor: str | None, limit: int) -> Call[Page[Identity]]:
    """Read a page of identities."""
    return Call("GET", "/v1/identities", _identities, params=_page(cursor, limit))


def create_swap(kind: str, body: Mapping[str, Any]) -> Call[Job]:
    """Submit a swap; `kind` is image or video."""
    return Call("POST", f"/v1/swaps/{kind}", _job, headers=_once(), json=body)


def create_preview(body: Mapping[str, Any]) -> Call[Job]:
    """Show a few frames of a swap."""
    return Call("POST", "/v1/previews", _job, headers=_once(), json=body)


def create_estimate(body: Mapping[str, Any]) -> Call[Job]:
    """Say what a swap would take."""
    return Call("POST", "/v1/estimates", _job, headers=_once(), json=body)


def create_export(identity_id: str, form: str) -> Call[Job]:
    """Write an identity as a file for a device."""
    path = f"/v1/identities/{identity_id}/exports"
    return Call("POST", path, _job, headers=_once(), json={"form": form})


def create_analysis(upload_id: str) -> Call[Job]:
    """Find the people in an upload."""
    body = {"input": {"upload_id": upload_id}}
    return Call("POST", "/v1/analyses", _job, headers=_once(), json=body)


def get_job(job_id: str, wait_s: int = 0) -> Call[Job]:
    """Read a job; with `wait_s` the answer is held until it ends, at most 60 s."""
    headers = {"Prefer": f"wait={wait_s}"} if wait_s else {}
    return Call("GET", f"/v1/jobs/{job_id}", _job, headers=headers)


def list_jobs(
    cursor: str | None, limit: int, status: str | None, kind: str | None
) -> Call[Page[Job]]:
    """Read a page of jobs."""
    wished = {"status": status, "kind": kind}
    given = {name: value for name, value in wished.items() if value is not None}
    return Call("GET", "/v1/jobs", _jobs, params={**_page(cursor, limit), **given})


def cancel_job(job_id: str) -> Call[Job]:
    """Ask a job to end."""
    return Call("POST", f"/v1/jobs/{job_id}/cancel", _job)


def delete_job(job_id: str) -> Call[None]:
    """Delete a job that has ended, with its result."""
    return Call("DELETE", f"/v1/jobs/{job_id}", lambda _: None)


def verify(file: Path) -> Call[Mapping[str, Any]]:
    """Ask where a file comes from."""
    headers = {"Content-Type": "application/octet-stream"}
    return Call("POST", "/v1/verify", _json, headers=headers, body=file)


def swap_body(
    upload_id: str,
    identity_id: str,
    faces: Any,  # noqa: ANN401 - a selector
    options: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the body of a swap of one identity onto the faces that are chosen."""
    return {
        "input": {"upload_id": upload_id},
        "identity_id": identity_id,
        "options": {"faces": faces, **options},
    }


def _once() -> dict[str, str]:
    """Return a fresh idempotency key: a repeated try is the same request."""
    return {"Idempotency-Key": secrets.token_hex(16)}


def _page(cursor: str | None, limit: int) -> dict[str, Any]:
    return {"limit": limit, **({"cursor": cursor} if cursor else {})}


def _media_type(file: Path) -> str:
    return mimetypes.guess_type(file.name)[0] or "application/octet-stream"


def _json(answer: httpx.Response) -> Mapping[str, Any]:
    body: Mapping[str, Any] = answer.json()
    return body


def _upload(answer: httpx.Response) -> Upload:
    return known(Upload, answer.json())


def _partial(answer: httpx.Response) -> PartialUpload:
    return known(PartialUpload, answer.json())


def _batch(answer: httpx.Response) -> Batch:
    return batch_of(answer.json())


def _identity(answer: httpx.Response) -> Identity:
    return known(Identity, answer.json())


def _job(answer: httpx.Response) -> Job:
    return job_of(answer.json())


def _identities(answer: httpx.Response) -> Page[Identity]:
    body = answer.json()
    return Page([known(Identity, item) for item in body["data"]], body["next_cursor"])


def _jobs(answer: httpx.Response) -> Page[Job]:
    body = answer.json()
    return Page([job_of(item) for item in body["data"]], body["next_cursor"])

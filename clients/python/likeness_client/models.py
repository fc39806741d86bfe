"""What the service answers with, as frozen dataclasses; members that are not known are left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Any, Generic, Literal, TypeVar, get_args

Status = Literal["queued", "running", "canceling", "succeeded", "failed", "canceled", "expired"]
FINAL: frozenset[Status] = frozenset({"succeeded", "failed", "canceled", "expired"})
STATUSES: tuple[Status, ...] = get_args(Status)
Item = TypeVar("Item")


@dataclass(frozen=True)
class Consent:
    """What a person agreed to. `granted_at` is now unless another moment (with a zone) is given."""

    subject: str
    basis: Literal["consent", "self", "contract"] = "consent"
    scope: Sequence[Literal["image", "video", "export"]] = ("image", "video")
    granted_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    expires_at: datetime | None = None
    evidence_sha256: str | None = None
    adult: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return the body's member `consent`."""
        optional = {
            "expires_at": self.expires_at and self.expires_at.isoformat(),
            "evidence_sha256": self.evidence_sha256,
        }
        return {
            "subject": self.subject,
            "basis": self.basis,
            "scope": list(self.scope),
            "granted_at": self.granted_at.isoformat(),
            "adult": self.adult,
            **{name: value for name, value in optional.items() if value},
        }


@dataclass(frozen=True)
class Upload:
    """A stored file; sizes in pixels, `duration_s` in seconds."""

    id: str
    sha256: str
    bytes: int
    media_type: str
    width: int | None = None
    height: int | None = None
    frames: int | None = None
    duration_s: float | None = None

    @property
    def kind(self) -> Literal["image", "video"]:
        """What a swap of it is: an animation is swapped as a video."""
        is_single = self.media_type.startswith("image/") and (self.frames or 1) == 1
        return "image" if is_single else "video"


@dataclass(frozen=True)
class PartialUpload:
    """An upload in parts: `received` of `bytes` are there."""

    id: str
    bytes: int
    received: int


@dataclass(frozen=True)
class Identity:
    """A registered face, with a report for each photo."""

    id: str
    pack: str
    name: str | None = None
    quality: str = "instant"
    photos: Sequence[Mapping[str, Any]] = ()
    uses: int = 0
    created_at: str = ""
    expires_at: str | None = None


@dataclass(frozen=True)
class Progress:
    """How far a job is: `done` of `total` units; frames per second and seconds left when known."""

    done: int = 0
    total: int = 0
    unit: str = ""
    fps: float | None = None
    eta_s: float | None = None


@dataclass(frozen=True)
class Result:
    """The file that a job made; sizes in pixels."""

    url: str
    sha256: str
    bytes: int
    media_type: str
    width: int | None = None
    height: int | None = None
    frames: int | None = None


@dataclass(frozen=True)
class Job:
    """A job; `report` says what became of each person, `error` is a problem or None."""

    id: str
    kind: str
    status: Status
    progress: Progress
    result: Result | None = None
    outcome: str | None = None
    report: Mapping[str, Any] = field(default_factory=dict)
    error: Mapping[str, Any] | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    urls: Mapping[str, str] = field(default_factory=dict)
    created_at: str = ""

    @property
    def final(self) -> bool:
        """Whether the job has ended."""
        return self.status in FINAL


@dataclass(frozen=True)
class BatchItem:
    """One job of a batch; `error` is the code of its failure."""

    job_id: str
    status: Status
    upload_id: str | None = None
    identity_id: str | None = None
    outcome: str | None = None
    error: str | None = None


@dataclass(frozen=True)
class Batch:
    """Many swaps of one request; `status` is running or finished, `counts` are jobs by status."""

    id: str
    status: str
    total: int
    counts: Mapping[str, int] = field(default_factory=dict)
    items: Sequence[BatchItem] = ()


@dataclass(frozen=True)
class Page(Generic[Item]):
    """A page of a listing, and the cursor of the next one."""

    items: Sequence[Item]
    next_cursor: str | None


def known(kind: type[Item], body: Mapping[str, Any]) -> Item:
    """Return the members of `body` that `kind` has."""
    names = {each.name for each in fields(kind)}  # type: ignore[arg-type]
    return kind(**{name: value for name, value in body.items() if name in names})


def batch_of(body: Mapping[str, Any]) -> Batch:
    """Return the batch that a body describes."""
    items = [known(BatchItem, item) for item in body.get("items", ())]
    return known(Batch, {**body, "items": items})


def job_of(body: Mapping[str, Any]) -> Job:
    """Return the job that a body describes."""
    result = body.get("result")
    parts = {
        "progress": known(Progress, body["progress"]),
        "result": known(Result, result) if result else None,
    }
    return known(Job, {**body, **parts})

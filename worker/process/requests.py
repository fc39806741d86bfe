"""The typed protocol between a worker's child and its parent, as one model for each message.

The parent believes nothing else: what does not fit a model ends the child. A child can only speak
of the one job it was given, so no message names a job, a tenant or a path.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from worker.contract.options import IdentityId, Strict
from worker.contract.requests import QueueName
from worker.sandbox.confinement import Protection
from worker.settings import WorkerSettings

# JSON numbers of this size survive every parser; no real count comes near.
Count = Annotated[int, Field(ge=0, lt=1 << 48)]
Fingerprint = Annotated[int, Field(ge=0, lt=1 << 64)]
# No slash, no leading dot: a name can never leave its directory.
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
Step = Annotated[str, Field(pattern=r"^[a-z0-9]{1,16}$")]
Suffix = Annotated[str, Field(pattern=r"^(\.[a-z0-9]{1,8})?$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
# It is put into an event's JSON by a script, so it may hold letters only.
Unit = Annotated[str, Field(pattern=r"^[a-z]{1,16}$")]
# What results are served as: nothing that a browser would run as a page of ours.
MediaType = Annotated[
    str,
    Field(pattern=r"^((image|video)/[a-z0-9.-]+|application/(json|octet-stream|zip)|text/plain)$"),
]
MAX_STEPS = 20_000  # five seconds each: more than a day of video


class ChildOrder(Strict):
    """The parent's first message: what to be. It names no store."""

    queue: QueueName
    parent_pid: int
    settings: WorkerSettings
    inward: Path
    outward: Path
    cpu_s: int  # what one job may use


class Hello(Strict):
    """The child's first message, once its models are loaded and before any untrusted byte."""

    pack: str
    protection: Protection


class Progress(Strict):
    ask: Literal["progress"] = "progress"
    done: Count
    total: Count | None
    unit: Unit


class FanOut(Strict):
    ask: Literal["fan_out"] = "fan_out"
    steps: Annotated[tuple[Step, ...], Field(min_length=1, max_length=MAX_STEPS)]
    plan: str
    total: Count
    unit: Unit
    in_flight: Annotated[int, Field(ge=1, le=16)]
    following: Step
    spent: dict[str, Count]


class ReadPlan(Strict):
    ask: Literal["plan"] = "plan"


class PublishPart(Strict):
    ask: Literal["publish_part"] = "publish_part"
    file: Name
    suffix: Suffix


class FetchPart(Strict):
    ask: Literal["part"] = "part"
    sha256: Sha256
    suffix: Suffix


class FinishPart(Strict):
    ask: Literal["finish_part"] = "finish_part"
    outcome: str
    spent: dict[str, Count]


class ReadQuality(Strict):
    ask: Literal["quality"] = "quality"
    identity: IdentityId


class ReadCode(Strict):
    """Answered with the code as a blob."""

    ask: Literal["code"] = "code"
    identity: IdentityId


class ReadWeights(Strict):
    """Answered with the weights as a blob, or with `build` and the code they are to be made of."""

    ask: Literal["weights"] = "weights"
    identity: IdentityId


class Built(Strict):
    """Follows the answer `build`, with the weights as a blob, or without where that failed."""

    ask: Literal["built"] = "built"


class PutRefined(Strict):
    """Comes with the refined weights as a blob."""

    ask: Literal["put_refined"] = "put_refined"
    identity: IdentityId
    refinement: dict[str, Any]


class SignClaim(Strict):
    """Comes with a claim as a blob, answered with its signature as a blob."""

    ask: Literal["sign"] = "sign"


class TimeStamp(Strict):
    """Comes with a message as a blob; answered with an RFC 3161 token as a blob, or without."""

    ask: Literal["time_stamp"] = "time_stamp"


class Screen(Strict):
    """Comes with two blobs: embeddings of the identities in use, and of people to be swapped.

    Both are float32, each embedding `width` bytes. Answered with a verdict.
    """

    ask: Literal["screen"] = "screen"
    width: Annotated[int, Field(ge=4, le=16_384, multiple_of=4)]


class OutcomeMade(Strict):
    """An `Outcome`; its file is a name in the work directory."""

    file: Name | None
    media_type: MediaType
    suffix: Suffix
    width: Count | None
    height: Count | None
    frames: Count | None
    manifest: Name | None = None
    # One each few seconds of video, thinned to this many.
    hashes: Annotated[tuple[Fingerprint, ...], Field(max_length=256)] = ()
    report: dict[str, Any]
    timings: dict[str, float]


class Ended(Strict):
    """The use case returned."""

    ask: Literal["ended"] = "ended"
    outcome: OutcomeMade | None
    spent: dict[str, Count]


class Raised(Strict):
    """The use case raised; `final` when trying again would give the same.

    `report` is what the job has to tell nevertheless, as of an outcome.
    """

    ask: Literal["raised"] = "raised"
    final: bool
    code: Annotated[str, Field(max_length=64)]
    message: Annotated[str, Field(max_length=2000)]
    report: dict[str, Any] = Field(default_factory=dict)


Request = (
    Progress
    | FanOut
    | ReadPlan
    | PublishPart
    | FetchPart
    | FinishPart
    | ReadQuality
    | ReadCode
    | ReadWeights
    | Built
    | PutRefined
    | SignClaim
    | TimeStamp
    | Screen
    | Ended
    | Raised
)
# Told apart by `ask` alone, so that a message fits one model or none.
REQUEST: TypeAdapter[Request] = TypeAdapter(Annotated[Request, Field(discriminator="ask")])

"""What a person agreed to, and the times it speaks of: checked in UTC, within sensible years."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field, model_validator

from service.schemas.fields import EARLY, LATE, Plain, example
from worker.contract.options import Strict

# Consent that begins or ends outside these years is a mistake of the sender's; and no time zone
# can move a moment within them beyond what a datetime holds.
_EARLIEST = datetime(1900, 1, 1, tzinfo=UTC)
_LATEST = datetime(9000, 1, 1, tzinfo=UTC)
_DATE = re.compile(r"\d{4}-\d\d-\d\dT", re.IGNORECASE)
_CLOCK_SKEW = timedelta(minutes=5)  # clients whose clock is ahead of ours


def _in_utc(moment: datetime) -> datetime:
    try:
        moment = moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("the time is out of range") from error

    if not _EARLIEST <= moment <= _LATEST:
        raise ValueError("the time is out of range")

    return moment


def _in_the_past(moment: datetime) -> datetime:
    if moment > datetime.now(UTC) + _CLOCK_SKEW:
        raise ValueError("the time lies in the future")
    return moment


def _as_text(moment: object) -> object:
    # A number, also as text, would be taken for seconds since the epoch, or for milliseconds where
    # it is large: a consent must not begin at a moment that nobody wrote.
    if isinstance(moment, datetime) or (isinstance(moment, str) and _DATE.match(moment)):
        return moment
    raise ValueError("the time must be RFC 3339, as 2026-01-05T10:00:00Z")


Moment = Annotated[AwareDatetime, BeforeValidator(_as_text), AfterValidator(_in_utc)]
PastMoment = Annotated[Moment, AfterValidator(_in_the_past)]


# "self" is the caller's own face; the others are what an operator relies on.
Basis = Literal["consent", "self", "contract"]


class Consent(Strict):
    """What a person agreed to: on what basis, for which uses, and for how long.

    Without `expires_at` the consent holds until it is withdrawn.
    """

    model_config = example(
        subject="ada@example.org",
        basis="consent",
        scope=["image", "video"],
        granted_at=EARLY,
        expires_at=LATE,
    )

    # The operator's own name for the person: an address, a number. It is never interpreted.
    subject: Annotated[str, Field(min_length=1, max_length=200), Plain] = Field(
        description="Who is shown: an address or a name, as the operator knows them."
    )
    basis: Basis = Field(
        description="On what ground the face may be used; `self` is the caller's own face."
    )
    # An empty scope would be a consent to nothing.
    scope: Annotated[frozenset[Literal["image", "video", "export"]], Field(min_length=1)] = Field(
        description="What the face may be used for: swaps into images, swaps into videos, and"
        " export as a file that swaps on a device."
    )
    # A consent that will be given is none yet.
    granted_at: PastMoment = Field(description="When consent was given; not in the future.")
    expires_at: Moment | None = Field(
        default=None, description="When consent ends; null until it is withdrawn."
    )
    evidence_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = Field(
        default=None,
        description="SHA-256, in hex, of a document that shows the consent; the document stays with"
        " the caller.",
    )
    # The operator's statement; the service only asks for it where a face looks young.
    adult: bool = Field(
        default=False,
        description="Whether the evidence shows that the person is of age; asked for where the"
        " face looks younger than 25.",
    )

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> Consent:
        if self.expires_at is not None and self.expires_at <= self.granted_at:
            raise ValueError("expires_at must be after granted_at")
        return self

"""Members that several bodies share, and the ids and times that their examples name."""

from __future__ import annotations

import json
import unicodedata
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue

EXAMPLE_IDENTITY = "idn_06avht3z9r7gqc2m5w8kxy4n1p"
EXAMPLE_JOB = "job_06avht5b1h7s4d9f2q6tjw3e8r"
EXAMPLE_UPLOAD = "upl_06avht2k8c7v5n1b3m9rqx6z0s"
EXAMPLE_SHA256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
# Fixed times, so that the OpenAPI document is the same on every day.
EARLY = "2026-01-05T10:00:00Z"
LATE = "2027-01-05T10:00:00Z"
# ASCII only and without user:password@: what is checked here must be what is connected to.
Url = Annotated[
    str,
    Field(max_length=2048, pattern=r"^https?://[A-Za-z0-9._-]{1,253}(:[0-9]{1,5})?([/?][!-~]*)?$"),
]
# Unicode's bidirectional controls: with them, lists and audit trails would show something else than
# what was written.
_BIDIRECTIONAL = frozenset(
    "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)
# Kept in the job's record for days; a client's own ids and a few labels need far less.
MAX_METADATA_BYTES = 16 * 1024
_LATEST = datetime(9999, 12, 31, tzinfo=UTC)  # what JSON clients can still parse


def _small(metadata: dict[str, JsonValue]) -> dict[str, JsonValue]:
    # As JSON, because that is how it is stored; a bound of members alone would let one be huge.
    if len(json.dumps(metadata)) > MAX_METADATA_BYTES:
        raise ValueError(f"metadata may have at most {MAX_METADATA_BYTES} bytes as JSON")
    return metadata


def _plain(text: str) -> str:
    shown = (one for one in text if one not in "\n\t")
    if any(unicodedata.category(one) == "Cc" or one in _BIDIRECTIONAL for one in shown):
        raise ValueError("control characters, bidirectional ones included, are not allowed")
    return text


# A name or a note that people read.
Plain = AfterValidator(_plain)
Metadata = Annotated[dict[str, JsonValue], Field(max_length=32), AfterValidator(_small)]


def example(one_of: tuple[str, ...] = (), **members: object) -> ConfigDict:
    """Return a model's configuration: one example, and members of which `only_one` asks for exactly
    one, not null.
    """

    def describe(schema: dict[str, Any]) -> None:
        # One example a model, which the documentation shows and tests validate.
        schema["examples"] = [members]
        for name in one_of:
            member = schema["properties"][name]
            choices = member.pop("anyOf", ())
            member.pop("default", None)
            member.update(next(choice for choice in choices if choice != {"type": "null"}))

        if one_of:
            schema["x-one-of"] = one_of  # becomes a schema for each in the document

    return ConfigDict(extra="forbid", frozen=True, json_schema_extra=describe)


def only_one(body: BaseModel, *names: str) -> None:
    """Raise ValueError unless exactly one of the members `names` was given, and not as null."""
    given = [name for name in names if name in body.model_fields_set]
    # Given, not only set: a null beside a value is a mistake in the client and must not pass.
    if len(given) != 1 or getattr(body, given[0]) is None:
        raise ValueError(f"give exactly one of {', '.join(names)}")


def at(seconds: float) -> datetime:
    """Return seconds since the epoch as a time with a zone, at most in the year 9999."""
    # A corrupt record may hold any number; a list must be shown nevertheless.
    return datetime.fromtimestamp(max(0.0, min(seconds, _LATEST.timestamp())), UTC)

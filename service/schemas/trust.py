"""Verification of a file, and the audit trail."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from service.schemas.fields import EXAMPLE_SHA256

# The order is that of the evidence: the first one that holds is given.
Verdict = Literal[
    "made_here", "mark_copied", "likeness_elsewhere", "signed_by_others", "no_mark_found"
]
C2paState = Literal["trusted", "valid", "invalid", "absent"]


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, json_schema_serialization_defaults_required=True)


class VerifyRequest(BaseModel):
    """A look-up by hash, for whoever does not want to send the file."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, json_schema_extra={"examples": [{"sha256": EXAMPLE_SHA256}]}
    )

    # For files too large or too private to send.
    sha256: Annotated[
        str,
        Field(pattern=r"^[0-9a-f]{64}$", description="SHA-256 of the whole file, in hex."),
    ]


class C2paReport(Frozen):
    """What the file's content credentials say."""

    # In the order of trust, the strongest first.
    state: C2paState = Field(
        description="`trusted`: signed by this installation; `valid`: intact, signed by somebody"
        " else; `invalid`: changed after signing; `absent`: none."
    )
    signer: str = Field(description="Organisation in the signing certificate.")
    issued_on: str = Field(description="Time-stamp of a time-stamp authority, RFC 3339; or empty.")
    actions: tuple[str, ...] = Field(description="Actions that the manifest lists.")
    ingredients: int = Field(description="How many files the manifest was made from.")
    problems: tuple[str, ...] = Field(description="C2PA status codes of failed checks.")


class MarkReport(Frozen):
    """What was found of the invisible mark."""

    found: bool = Field(description="Whether a mark of a Likeness installation is there.")
    ours: bool = Field(description="Whether it is proved to be of this installation.")


class RecordReport(Frozen):
    """What this installation recorded about the output."""

    day: str = Field(description="Day it was made, UTC.")
    kind: Literal["image", "video", "export"] = Field(description="What kind of output it was.")
    # A mark survives re-encoding, so a match by it says less than equal bytes.
    exact: bool = Field(description="Whether the file has exactly the bytes that were delivered.")
    manifest_url: str | None = Field(
        description="Where its content credentials can be fetched again, for a copy without them."
    )


class Verification(Frozen):
    """What can be said about a file's origin.

    Nothing about tenants, jobs, identities or people, and no score.
    """

    verdict: Verdict = Field(
        description="`made_here`: an output of this installation; `mark_copied`: carries a mark of"
        " this installation that was made for something else; `likeness_elsewhere`: signs of"
        " another installation, not proved; `signed_by_others`: intact credentials of others;"
        " `no_mark_found`: nothing."
    )
    c2pa: C2paReport = Field(description="What the content credentials say.")
    mark: MarkReport = Field(description="What the pixels say: the invisible mark.")
    record: RecordReport | None = Field(description="Present when the output is known here.")
    # Sentences for people; programs go by the verdict.
    notes: tuple[str, ...] = Field(description="What the verdict does not show, in words.")


class AuditEvent(Frozen):
    """One entry of the audit trail."""

    seq: int = Field(description="Its number; numbers begin at 1 and have no gaps.")
    event: str = Field(description="What happened, such as `identity.registered`.")
    tenant: str = Field(description="Whose data it was about.")
    actor: str = Field(description="The id of the key that did it, `operator` or `expiry`.")
    subject: str = Field(description="The id of what was touched; or empty.")
    at: float = Field(description="Seconds since the epoch.")
    details: dict[str, str] = Field(description="What else the event names: ids, counts, codes.")
    mac: str = Field(description="The keyed hash that binds the entry to the one before.")


class AuditPage(Frozen):
    """A page of the audit trail, oldest first."""

    items: tuple[AuditEvent, ...] = Field(description="The entries.")
    next_cursor: int | None = Field(description="`cursor` of the next page; null at the end.")


class AuditCheck(Frozen):
    """Whether the trail is as it was written, checked within the last minute."""

    intact: bool = Field(description="Whether every entry is as it was written.")
    entries: int = Field(description="Entries of all tenants; 0 where the trail is broken.")
    problem: str = Field(description="Where it is broken, in words; or empty.")
    checked_at: float = Field(description="Seconds since the epoch.")


class AuditHead(Frozen):
    """The newest entry, and the newest head that was signed."""

    seq: int = Field(description="Number of the newest archived entry; 0 when there is none.")
    mac: str = Field(description="Its keyed hash.")
    pending: int = Field(description="Entries not archived yet.")
    signed_seq: int = Field(description="Entry of the newest signed head; 0 when there is none.")
    signature: str = Field(description="ES256 signature of that head, in hex.")

"""Consent on the command line: the record that a registration needs, from options or a question."""

from __future__ import annotations

import hashlib
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, get_args

import typer
from pydantic import ValidationError

from likeness.errors import CommandError
from service.schemas.consent import Basis, Consent

Subject = Annotated[
    str | None,
    typer.Option("--consent", metavar="WHO", help="Who is shown and agreed, such as an address."),
]
BasisOption = Annotated[
    # Text and no enum: the schema checks it, and its refusal is worded like all others.
    str, typer.Option("--basis", metavar="|".join(get_args(Basis)), help="On what ground.")
]
Evidence = Annotated[
    Path | None,
    typer.Option("--evidence", help="A file that shows the consent; only its hash is kept."),
]
Adult = Annotated[
    bool, typer.Option("--adult", help="The evidence shows that the person is of age.")
]


def consent_record(
    who: str | None, basis: str, evidence: Path | None, adult: bool, *, required: bool
) -> Consent | None:
    """Return the record; asks on a terminal where none is given and one is required.

    Raises CommandError for what cannot be a record. None where none is given: whether that may be
    is the registration's to decide.
    """
    # In a script or a job nobody would answer, and the command would wait for ever.
    if who is None and required and sys.stdin.isatty():
        who = _asked()
    if who is None:
        return None

    digest = None if evidence is None else hashlib.sha256(evidence.read_bytes()).hexdigest()
    try:
        return Consent(
            subject=who,
            basis=basis,  # type: ignore[arg-type]
            # Whether the target is an image or a video is examined later; export is never implied.
            scope=frozenset({"image", "video"}),
            # The operator vouches for it now; on what day the person agreed is in the evidence.
            granted_at=datetime.now(UTC),
            evidence_sha256=digest,
            adult=adult,
        )
    except ValidationError as error:
        if any("basis" in finding["loc"] for finding in error.errors()):
            kinds = ", ".join(get_args(Basis))
            raise CommandError(f"--basis is {basis!r}: it may be {kinds}") from error

        raise CommandError(f"--consent is {who!r}: name the person in 1 to 200 letters") from error


def _asked() -> str | None:
    """Return who agreed, as answered on the terminal; None when nobody did."""
    # On standard error, because standard output belongs to the result.
    if not typer.confirm("Has the person in the source photos agreed to this use?", err=True):
        return None
    return str(typer.prompt("Who is it (an address or a name)", err=True))

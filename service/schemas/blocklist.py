"""The never-swap list: entries, requests of people, and cases to review."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import Field

from service.schemas.fields import EARLY, LATE, Plain, example
from worker.blocklist.records import Reason, State
from worker.contract.options import Strict

EXAMPLE_ENTRY = "blk_01k4w0000000000000000000aa"
EXAMPLE_REVIEW = "rev_5f0c9a1be2d3847a5f0c9a1be2d3847a"
# What is kept without an end is kept for ever: three years, and the operator may add them again.
KEEP_DAYS = 1095


class BlocklistForm(Strict):
    """The fields beside the photos of an entry that an operator makes."""

    label: Annotated[str, Field(min_length=1, max_length=200), Plain] = Field(
        description="The operator's own name for the entry."
    )
    reason: Reason = Field(default="legal", description="Why the person is listed.")
    # An entry of the list must end, too; it can be renewed.
    keep_days: Annotated[int, Field(ge=1, le=3650)] = Field(
        default=KEEP_DAYS, description="Days until the entry ends."
    )


class BlocklistRequestForm(Strict):
    """The fields beside the photos of a person's own request."""

    reason: Reason = Field(default="self", description="Why the person is to be listed.")
    label: Annotated[str, Field(max_length=200), Plain] = Field(
        default="", description="The person's own words; the operator reads them."
    )
    contact: Annotated[
        str, Field(max_length=200, description="How the operator can reach you; sealed."), Plain
    ] = ""


class BlocklistEntry(Strict):
    """Somebody who must never be swapped; their face is never shown or exported."""

    model_config = example(
        id=EXAMPLE_ENTRY,
        state="active",
        reason="legal",
        label="case 2026-17",
        contact="",
        pack="open",
        is_compared=True,
        added_by="default/0f3a5c7e9b1d2f4a",
        created_at=EARLY,
        expires_at=LATE,
    )

    id: str = Field(description="`blk_` and 26 characters.")
    state: State = Field(description="`pending`: a request that an operator has not approved.")
    reason: Reason = Field(description="Why the person is listed.")
    label: str = Field(description="The operator's own name for the entry.")
    contact: str = Field(description="How the person can be reached; empty where they did not say.")
    pack: str = Field(description="Model pack whose encoder saw the photos.")
    is_compared: bool = Field(
        description="False for an entry of another pack than the one in use: add it again."
    )
    added_by: str = Field(description="Tenant and key of an operator, or `person`.")
    created_at: datetime = Field(description="When it was made.")
    expires_at: datetime = Field(description="When it ends.")


class BlocklistPage(Strict):
    """The whole list, newest first."""

    data: tuple[BlocklistEntry, ...] = Field(description="The entries.")
    warning: str | None = Field(
        default=None, description="Present when the list refuses too many other people."
    )


class BlocklistTicket(Strict):
    """A person's request, as that person sees it."""

    model_config = example(
        id=EXAMPLE_ENTRY, state="pending", expires_at=LATE, token="5f0c9a1be2d3847a" * 4
    )

    id: str = Field(description="`blk_` and 26 characters.")
    state: State = Field(description="What has become of the request.")
    expires_at: datetime = Field(description="When the entry ends.")
    token: str | None = Field(
        default=None,
        description="Sent as `Blocklist-Token` to read or withdraw the request; shown this once.",
    )


class Review(Strict):
    """Files in which somebody resembles an entry, until an operator releases them."""

    model_config = example(
        id=EXAMPLE_REVIEW,
        tenant="default",
        entry_id=EXAMPLE_ENTRY,
        created_at=EARLY,
        released_at=None,
        released_by="",
    )

    id: str = Field(description="`rev_` and 32 hex digits.")
    tenant: str = Field(description="Whose request it was.")
    entry_id: str = Field(description="The entry that is resembled.")
    created_at: datetime = Field(description="When the case was opened.")
    released_at: datetime | None = Field(
        default=None, description="When an operator released it; null before."
    )
    released_by: str = Field(
        default="", description="Tenant and key of that operator; empty before."
    )


class ReviewList(Strict):
    """Cases, newest first."""

    data: tuple[Review, ...] = Field(description="The cases.")

"""Putting people on the never-swap list: by an operator, or at their own request."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Sequence
from contextlib import ExitStack

from anyio import to_thread

from service.caller import Caller
from service.identities.enrolment import Enrolment
from service.intake.incoming import Incoming
from service.protocol.problems import ServiceError
from service.schemas.blocklist import KEEP_DAYS, BlocklistForm, BlocklistRequestForm
from worker.blocklist.entries import CROWDED_AT
from worker.blocklist.records import BlocklistEntry, as_face, new_entry
from worker.blocklist.reviews import Review
from worker.blocklist.screening import Screening

log = logging.getLogger(__name__)

PUBLIC = "_public"
"""Whose files a person's photos are while they are looked at: no tenant's name begins so."""
PERSON = "person"
DAY_S = 86_400.0
# A request that no operator has looked at in a month ends, with the face in it.
PENDING_DAYS = 30
# Logged for the operator: the list protects the more people, the more others it refuses.
CROWDED = (
    f"More than {CROWDED_AT} people are on the list: with this encoder about one in twenty other"
    " people is refused, and more with every entry."
)


class Blocklisting:
    """Changes the list; every change is in the audit trail. Photos are gone when a call returns."""

    def __init__(self, screening: Screening, enrolment: Enrolment) -> None:
        self._screening = screening
        self._entries = screening.entries
        self._enrolment = enrolment

    async def add(self, caller: Caller, form: BlocklistForm, incoming: Incoming) -> BlocklistEntry:
        """Add somebody at once; raises the photo problems, blocklist_full."""
        pack, embedding = await self._embedded(caller.tenant, incoming)
        entry = new_entry(
            state="active",
            reason=form.reason,
            pack=pack,
            label=form.label,
            contact="",
            added_by=f"{caller.tenant}/{caller.key_id}",
            keep_s=form.keep_days * DAY_S,
        )

        await to_thread.run_sync(self._entries.add, entry, as_face(embedding))
        await self._note("added", entry.id, caller, reason=entry.reason)

        if len(await to_thread.run_sync(self._entries.faces)) > CROWDED_AT:
            log.warning(CROWDED)
        return entry

    async def ask(
        self, form: BlocklistRequestForm, incoming: Incoming
    ) -> tuple[BlocklistEntry, str]:
        """Keep a person's request until an operator decides; return it and its token."""
        pack, embedding = await self._embedded(PUBLIC, incoming)
        # Shown once, so that the person can withdraw without an account.
        token = secrets.token_hex(32)
        entry = new_entry(
            state="pending",
            reason=form.reason,
            pack=pack,
            label=form.label,
            contact=form.contact,
            added_by=PERSON,
            keep_s=PENDING_DAYS * DAY_S,
        )

        await to_thread.run_sync(self._entries.add, entry, as_face(embedding), token)
        await self._note("requested", entry.id, None, reason=entry.reason)
        return entry, token

    async def approve(self, caller: Caller, entry_id: str) -> BlocklistEntry:
        """Let a request take effect; raises UnknownBlocklistEntry."""
        entry = await to_thread.run_sync(self._entries.get, entry_id)
        # From the request on, not from the decision: the person asked then.
        ends_at = entry.created_at + KEEP_DAYS * DAY_S
        entry = await to_thread.run_sync(self._entries.activate, entry_id, ends_at)
        await self._note("added", entry_id, caller, reason=entry.reason)
        return entry

    async def remove(self, caller: Caller, entry_id: str) -> None:
        """Erase an entry or a request; raises UnknownBlocklistEntry."""
        await to_thread.run_sync(self._entries.remove, entry_id)
        await self._note("removed", entry_id, caller)

    async def withdraw(self, entry_id: str, token: str) -> None:
        """Erase what a person has asked for, whether or not it was approved."""
        await to_thread.run_sync(self._entries.owned, entry_id, token)
        await to_thread.run_sync(self._entries.remove, entry_id)
        await self._note("removed", entry_id, None)

    async def owned(self, entry_id: str, token: str) -> BlocklistEntry:
        """Return a person's own request; raises UnknownBlocklistEntry."""
        return await to_thread.run_sync(self._entries.owned, entry_id, token)

    async def entries(self) -> Sequence[BlocklistEntry]:
        """Return the list, newest first."""
        return await to_thread.run_sync(self._entries.newest_first)

    async def reviews(self) -> Sequence[Review]:
        """Return the cases, newest first."""
        return await to_thread.run_sync(self._screening.reviews.newest_first)

    async def release(self, caller: Caller, review_id: str) -> Review:
        """Let the files of a case pass; raises UnknownReview."""
        by = f"{caller.tenant}/{caller.key_id}"
        review = await to_thread.run_sync(self._screening.reviews.release, review_id, by)
        await self._note(
            "released", review.entry_id, caller, review=review.id, for_tenant=review.tenant
        )
        return review

    async def _embedded(self, tenant: str, incoming: Incoming) -> tuple[str, bytes]:
        if any(not file.facts.media_type.startswith("image/") for file in incoming.files):
            raise ServiceError("unsupported_media_type", "Send images, not videos")

        with ExitStack() as stack:
            photos = [
                stack.enter_context(await to_thread.run_sync(file.open)) for file in incoming.files
            ]
            return await self._enrolment.embed(tenant, photos)

    async def _note(self, event: str, entry_id: str, caller: Caller | None, **details: str) -> None:
        tenant = caller.tenant if caller else ""
        actor = caller.key_id if caller else PERSON

        def append() -> None:
            self._screening.audit.append(f"blocklist.{event}", tenant, actor, entry_id, **details)

        await to_thread.run_sync(append)

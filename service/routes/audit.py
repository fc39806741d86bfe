"""The audit trail, for those whose data it is about."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Depends, Query
from fastapi.responses import StreamingResponse

from service.caller import Caller
from service.protocol.openapi import problems, success
from service.routes.app_state import State
from service.routes.auth import caller_with
from service.schemas.trust import AuditEvent, AuditHead, AuditPage
from worker.provenance.audit_archive import AuditFilter, AuditLine

router = APIRouter(prefix="/v1/audit", tags=["audit"])

Auditor = Annotated[Caller, Depends(caller_with("audit:read"))]

_OWN_MEMBERS = frozenset({"event", "tenant", "actor", "subject", "at"})


@router.get("", responses=problems())
async def list_events(
    caller: Auditor,
    state: State,
    event: Annotated[str | None, Query(max_length=64, description="Only this event.")] = None,
    subject: Annotated[
        str | None, Query(max_length=64, description="Only entries about this id.")
    ] = None,
    since: Annotated[float, Query(ge=0, description="Seconds since the epoch, included.")] = 0.0,
    until: Annotated[
        float | None, Query(ge=0, description="Seconds since the epoch, excluded.")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=1000, description="Entries a page.")] = 100,
    cursor: Annotated[int, Query(ge=0, description="`next_cursor` of the page before.")] = 0,
) -> AuditPage:
    """List the audit trail of the key's tenant, oldest first.

    An entry appears here about a second after the event.
    """
    wanted = AuditFilter(
        tenant=caller.tenant,
        event=event,
        subject=subject,
        since=since,
        until=float("inf") if until is None else until,
        after=cursor,
    )

    def read() -> list[AuditLine]:
        lines = state.audit_trail.lines(wanted)
        return [line for line, _ in zip(lines, range(limit + 1), strict=False)]

    lines = await to_thread.run_sync(read)
    more = lines[limit - 1].entry.seq if len(lines) > limit else None
    return AuditPage(items=tuple(map(_event, lines[:limit])), next_cursor=more)


@router.get("/head", responses=problems())
async def get_head(caller: Auditor, state: State) -> AuditHead:
    """Return the newest entry's hash, and the newest head that was signed.

    Keep a copy elsewhere: nobody can rewrite what came before it without being noticed.
    """

    def read() -> AuditHead:
        last = state.audit_trail.last()
        heads = state.audit_trail.heads()
        archived = last.entry.seq if last else 0

        return AuditHead(
            seq=archived,
            mac=last.mac if last else "",
            pending=max(0, state.audit.last_seq() - archived),
            signed_seq=heads[-1].seq if heads else 0,
            signature=heads[-1].signature if heads else "",
        )

    return await to_thread.run_sync(read)


@router.get(
    "/export",
    response_class=StreamingResponse,
    responses={
        200: success(
            "JSON lines, oldest first; the last one is the signed head.",
            content={"application/jsonl": {"schema": {"type": "string"}}},
        ),
        **problems(),
    },
)
async def export_events(caller: Auditor, state: State) -> StreamingResponse:
    """Return the tenant's whole audit trail."""

    def lines() -> Iterator[str]:
        for line in state.audit_trail.lines(AuditFilter(tenant=caller.tenant)):
            yield _event(line).model_dump_json() + "\n"

        heads = state.audit_trail.heads()
        if heads:
            yield json.dumps({"head": heads[-1].__dict__}) + "\n"

    return StreamingResponse(lines(), media_type="application/jsonl")


def _event(line: AuditLine) -> AuditEvent:
    body = line.entry.body
    return AuditEvent(
        seq=line.entry.seq,
        event=body["event"],
        tenant=body["tenant"],
        actor=body["actor"],
        subject=body["subject"],
        at=float(body["at"]),
        details={name: value for name, value in body.items() if name not in _OWN_MEMBERS},
        mac=line.mac,
    )

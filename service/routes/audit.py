"""The audit trail, for those whose data it is about."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated, Literal

from anyio import to_thread
from fastapi import APIRouter, Depends, Query, Response
from fastapi.responses import HTMLResponse, StreamingResponse

from service.caller import Caller
from service.protocol.openapi import problems, success
from service.protocol.problems import ServiceError
from service.routes.app_state import State
from service.routes.auth import caller_with
from service.schemas.trust import AuditCheck, AuditEvent, AuditHead, AuditPage
from service.trust.page import CONTENT_SECURITY_POLICY, page, script
from worker.provenance.audit.lines import AuditFilter, AuditLine
from worker.stores.key_store import OPERATOR_SCOPE

router = APIRouter(prefix="/v1/audit", tags=["audit"])
pages = APIRouter(include_in_schema=False)

_LINES = {"schema": {"type": "string"}}

Auditor = Annotated[Caller, Depends(caller_with("audit:read"))]

EVERYBODY = "*"
Tenant = Annotated[
    str | None,
    Query(
        max_length=64,
        description="Another tenant, or `*` for all; for keys with the scope operator.",
    ),
]

_INFINITE = float("inf")
# Members of every entry; whatever else an event recorded goes into `details`.
_OWN_MEMBERS = frozenset({"event", "tenant", "actor", "subject", "at"})


@router.get("", responses=problems())
async def list_events(
    caller: Auditor,
    state: State,
    event: Annotated[str | None, Query(max_length=64, description="Only this event.")] = None,
    # Ids have 30 characters; longer text cannot match, and is not carried to the disk.
    subject: Annotated[
        str | None, Query(max_length=64, description="Only entries about this id.")
    ] = None,
    about: Annotated[
        str | None,
        Query(max_length=64, description="Entries about this id, and those that name it."),
    ] = None,
    tenant: Tenant = None,
    since: Annotated[float, Query(ge=0, description="Seconds since the epoch, included.")] = 0.0,
    until: Annotated[
        float | None, Query(ge=0, description="Seconds since the epoch, excluded.")
    ] = None,
    order: Annotated[
        Literal["oldest", "newest"], Query(description="Which come first.")
    ] = "oldest",
    limit: Annotated[int, Query(ge=1, le=1000, description="Entries a page.")] = 100,
    cursor: Annotated[int, Query(ge=0, description="`next_cursor` of the page before.")] = 0,
) -> AuditPage:
    """List the audit trail of the key's tenant; with the scope operator, of any.

    An entry appears here about a second after the event.
    """
    wanted = AuditFilter(
        tenant=_tenant(caller, tenant),
        event=event,
        subject=subject,
        about=about,
        since=since,
        until=_INFINITE if until is None else until,
        # The cursor is an entry's number, and bounds the page on the side that it comes from.
        after=cursor if order == "oldest" else 0,
        before=cursor if order == "newest" and cursor else _INFINITE,
    )

    def read() -> list[AuditLine]:
        trail = state.audit_trail
        lines = trail.files.lines(wanted) if order == "oldest" else trail.files.newest_first(wanted)
        # One more than asked for tells whether there is a next page. The archive is read lazily, so
        # a short page does not read the files to their end.
        return [line for line, _ in zip(lines, range(limit + 1), strict=False)]

    lines = await to_thread.run_sync(read)
    more = lines[limit - 1].entry.seq if len(lines) > limit else None
    return AuditPage(items=tuple(map(_event, lines[:limit])), next_cursor=more)


def _tenant(caller: Caller, asked: str | None) -> str | None:
    """Return whose entries a caller gets, None for everybody's; raises forbidden."""
    if asked in (None, caller.tenant):
        return caller.tenant
    # Tenants read about themselves; only the operator reads across them.
    if OPERATOR_SCOPE not in caller.scopes:
        raise ServiceError("forbidden", "Another tenant's trail takes the scope operator")
    return None if asked == EVERYBODY else asked


@router.get("/check", responses=problems())
async def check_trail(_caller: Auditor, state: State) -> AuditCheck:
    """Say whether any entry was changed, removed or slipped in; at most a minute old."""
    # Kept for a minute: a check reads every file of the trail.
    found = await to_thread.run_sync(state.chain_check.state)
    return AuditCheck(
        intact=found.is_intact,
        entries=found.entries,
        problem=found.problem,
        checked_at=found.checked_at,
    )


@router.get("/head", responses=problems())
async def get_head(_caller: Auditor, state: State) -> AuditHead:
    """Return the newest entry's hash, and the newest head that was signed.

    Keep a copy elsewhere: nobody can rewrite what came before it without being noticed.
    """

    def read() -> AuditHead:
        last = state.audit_trail.files.last()
        # The signed head belongs to the export: without it the lines prove nothing to an outsider.
        heads = state.audit_trail.heads()
        archived = last.entry.seq if last else 0

        return AuditHead(
            seq=archived,
            mac=last.mac if last else "",
            # Numbers are given out before a worker archives the entries: the difference is what a
            # verification of the files would miss right now.
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
            content={"text/plain": _LINES, "application/jsonl": _LINES},
        ),
        **problems(),
    },
)
async def export_events(caller: Auditor, state: State, tenant: Tenant = None) -> StreamingResponse:
    """Return the tenant's whole audit trail; with the scope operator, any tenant's."""
    whose = _tenant(caller, tenant)

    def lines() -> Iterator[str]:
        for line in state.audit_trail.files.lines(AuditFilter(tenant=whose)):
            yield _event(line).model_dump_json() + "\n"

        heads = state.audit_trail.heads()
        if heads:
            yield json.dumps({"head": heads[-1].__dict__}) + "\n"

    # Years of entries: streamed, so that the trail is never in memory as a whole.
    return StreamingResponse(lines(), media_type="application/jsonl")


@pages.get("/audit")
async def audit_page() -> HTMLResponse:
    """Return the page for people; it asks for a key, which stays in the browser's memory."""
    headers = {"Content-Security-Policy": CONTENT_SECURITY_POLICY}
    return HTMLResponse(page("audit"), headers=headers)


@pages.get("/audit.js")
async def audit_script() -> Response:
    """Return the page's script."""
    return Response(script("audit"), media_type="text/javascript")


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
